import { figuresOf, ratesBetween } from './figures.ts';
import { parseMetrics, sumOf } from './prometheus.ts';

const text = `# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{route="a \\"b\\"",status="200"} 3
requests_total{route="c",status="503"} 2 1700000000000
up 1
broken line here
`;

test('samples are read with their labels, other lines are left out', () => {
  const samples = parseMetrics(text);
  expect(samples.map(({ value }) => value)).toEqual([3, 2, 1]);
  expect(sumOf(samples, 'requests_total')).toBe(5);
  expect(sumOf(samples, 'requests_total', ({ status }) => status === '503')).toBe(2);
  expect(sumOf(samples, 'nothing')).toBeUndefined();
});

test('a rate counts from zero after a counter went back', () => {
  const figures = { ...figuresOf('unknown', []), hits: 0, misses: 0 };
  const before = { ...figures, requests: 1000 };
  expect(ratesBetween(before, { ...figures, requests: 1500 }, 2).requestsPerSecond).toBe(250);
  expect(ratesBetween(before, { ...figures, requests: 10 }, 2).requestsPerSecond).toBe(5);
});
