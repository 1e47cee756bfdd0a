// The picture of a load: rate, latency, and what went wrong, over time.
import type { LoadReport } from './report.ts';
import { type Window, windowMs } from './windows.ts';

const problems = ['failed', 'lost', 'stale', 'wrong', 'notSent'] as const;
const colours = { failed: '#d62728', lost: '#9467bd', stale: '#ff7f0e', wrong: '#8c564b', notSent: '#7f7f7f' } as const;

const nameOf = (what: (typeof problems)[number]): string => (what === 'notSent' ? 'not sent' : what);
const stoodStill = 'the load stood still';
const nameTextStyle = { align: 'left' } as const;

/** An SVG, drawn by ECharts without a browser. */
export const plotOf = async ({ windows, seconds, sent }: LoadReport): Promise<string> => {
  const echarts = await import('echarts');
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 960, height: 780 });
  const over = (value: (window: Window) => number): [number, number][] =>
    windows.map((window) => [window.at / 1_000, value(window)]);
  const line = (name: string, index: number, data: [number, number][], more: object = {}): object => ({
    name,
    type: 'line',
    showSymbol: false,
    lineStyle: { width: 1 },
    xAxisIndex: index,
    yAxisIndex: index,
    data,
    ...more,
  });
  const occurred = problems.filter((what) => windows.some((window) => window[what] > 0));
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: {
      text: `${sent.toLocaleString('en-US')} requests in ${seconds.toFixed(1)} s, by windows of ${windows[0]?.milliseconds ?? 100} ms`,
      left: 'center',
      textStyle: { fontSize: 15 },
    },
    legend: { top: 32, itemGap: 28, data: ['answers a second', 'p99', 'p50', stoodStill, ...occurred.map(nameOf)] },
    grid: [
      { left: 70, right: 30, top: 80, height: 170 },
      { left: 70, right: 30, top: 300, height: 230 },
      { left: 70, right: 30, top: 580, height: 150 },
    ],
    xAxis: [0, 1, 2].map((index) => ({
      type: 'value',
      gridIndex: index,
      min: 0,
      max: Number(seconds.toFixed(1)),
      ...(index === 2 && { name: 'seconds', nameLocation: 'middle', nameGap: 26 }),
    })),
    yAxis: [
      { type: 'value', gridIndex: 0, name: 'answers a second', nameTextStyle, min: 0 },
      { type: 'log', gridIndex: 1, name: 'ms from the time at which it was due', nameTextStyle, min: 0.1 },
      { type: 'value', gridIndex: 2, name: 'in a window', nameTextStyle, min: 0, minInterval: 1 },
    ],
    series: [
      line(
        'answers a second',
        0,
        // The last window may be too short for its rate to say anything.
        over(({ answered, milliseconds }) => (answered * 1_000) / Math.max(windowMs, milliseconds)),
      ),
      line(
        'p99',
        1,
        over(({ p99 }) => Math.max(0.1, p99)),
      ),
      line(
        'p50',
        1,
        over(({ p50 }) => Math.max(0.1, p50)),
      ),
      line(
        stoodStill,
        1,
        over(({ stall }) => Math.max(0.1, stall)),
        { lineStyle: { width: 1, type: 'dotted', color: '#999999' }, itemStyle: { color: '#999999' } },
      ),
      ...occurred.map((what) => ({
        name: nameOf(what),
        type: 'bar',
        stack: 'problems',
        barMinWidth: 1,
        itemStyle: { color: colours[what] },
        xAxisIndex: 2,
        yAxisIndex: 2,
        data: over((window) => window[what]),
      })),
    ],
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
};
