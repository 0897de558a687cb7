/** The free-running distances as a picture. */

import * as echarts from 'echarts';

/** SVG of both mean relative distances from PyTorch's loss on one thread, step by step, on a logarithmic axis. */
export function plotDistances(ours: readonly number[], theirs: readonly number[], seeds: number): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 720, height: 360 });
  const line = (
    name: string,
    values: readonly number[],
    color: string,
    type: 'solid' | 'dashed',
  ): object => ({
    type: 'line',
    name,
    showSymbol: false,
    color,
    lineStyle: { width: 2, type },
    // A logarithmic axis has no zero: equal losses leave a gap.
    data: values.map((value, i) => [i + 1, value > 0 ? value : null]),
  });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: {
      text: `Relative distance of the loss from PyTorch's, 1 thread (mean of ${seeds} seeds)`,
      left: 12,
      top: 8,
    },
    legend: { top: 36, left: 8 },
    grid: { left: 64, right: 24, top: 72, bottom: 48 },
    xAxis: { type: 'value', name: 'step', nameLocation: 'middle', nameGap: 28, min: 0, max: ours.length },
    yAxis: { type: 'log', axisLabel: { formatter: (value: number) => value.toExponential(0) } },
    series: [
      line('Lockstep', ours, '#0b6bcb', 'solid'),
      line('PyTorch itself, 2 threads', theirs, '#c2410c', 'dashed'),
    ],
    textStyle: { fontFamily: 'system-ui, sans-serif' },
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
