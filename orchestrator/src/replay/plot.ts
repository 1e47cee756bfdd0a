// The picture of a replay: hit ratio over the course of the trace, and the latency of reads by percentile.
import type { ReplayReport } from './report.ts';

/** An SVG, drawn by ECharts without a browser. */
export const plotOf = async (report: ReplayReport): Promise<string> => {
  const echarts = await import('echarts');
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 960, height: 720 });
  const latency = Object.entries(report.readLatencyMicroseconds);
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: {
      text: `Replay of ${report.options.file.split('/').at(-1)}: hit ratio ${(report.hitRatio * 100).toFixed(2)} %, exact LRU split by node ${(report.lru.splitByNode * 100).toFixed(2)} %`,
      left: 'center',
      textStyle: { fontSize: 15 },
    },
    legend: { top: 30, data: ['cache', 'exact LRU, split by node'] },
    grid: [
      { left: 70, right: 30, top: 70, height: 290 },
      { left: 70, right: 30, top: 450, height: 200 },
    ],
    xAxis: [
      { type: 'value', gridIndex: 0, name: 'references', nameLocation: 'middle', nameGap: 28 },
      {
        type: 'category',
        gridIndex: 1,
        data: latency.map(([name]) => name),
        name: 'read latency',
        nameLocation: 'middle',
        nameGap: 28,
      },
    ],
    yAxis: [
      { type: 'value', gridIndex: 0, name: 'hit ratio', min: 0, max: 1 },
      { type: 'log', gridIndex: 1, name: 'ms', min: 0.1 },
    ],
    series: [
      { name: 'cache', type: 'line', showSymbol: false, data: report.course.map((at) => [at.references, at.hitRatio]) },
      {
        name: 'exact LRU, split by node',
        type: 'line',
        showSymbol: false,
        data: report.course.map((at) => [at.references, at.lruHitRatio]),
      },
      {
        type: 'bar',
        xAxisIndex: 1,
        yAxisIndex: 1,
        data: latency.map(([, value]) => value / 1_000),
        label: { show: true, position: 'top' },
      },
    ],
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
};
