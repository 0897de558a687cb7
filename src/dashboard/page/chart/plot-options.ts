/** The options with which uPlot draws a chart's lines. */

import UPlot from 'uplot';
import { colour } from '../dom.js';
import { dashes, type Line } from './line.js';
import { valueRange, xRange, type Bounds } from './ranges.js';

export const plotHeight = 210;

/** An axis of steps, times or epochs. */
export interface XAxis {
  /** Name of the axis's values, e.g. `Step`. */
  readonly label: string;
  readonly format: (x: number) => string;
  /** Distances between labels from which the axis chooses; undefined for multiples of 1, 2 and 5. */
  readonly increments?: readonly number[];
}

/** A vertical dashed line. */
export interface Mark {
  readonly x: number;
  readonly bad: boolean;
}

export interface PlotRequest {
  readonly lines: readonly Line[];
  readonly width: number;
  readonly x: XAxis;
  readonly format: (value: number | null | undefined) => string;
  readonly bounds: Bounds | undefined;
  readonly stacked: boolean;
  readonly log: boolean;
  readonly hooks: UPlot.Hooks.Arrays;
}

const axisFont = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
/** Width of the value axis in CSS pixels; more for longer labels. */
const minAxisWidth = 58;
/** Space for the ticks and the gaps on both sides of a label. */
const axisMargin = 14;
/** uPlot declares these as a const enum, which does not exist at run time. */
// eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- the enum has no value at run time
const [linear, logarithmic] = [1 as UPlot.Scale.Distr, 3 as UPlot.Scale.Distr];

export function plotOptions(request: PlotRequest): UPlot.Options {
  const { width, x, format, bounds, log, hooks } = request;
  const axis = { stroke: colour('faint'), font: axisFont, grid: { stroke: colour('grid'), width: 1 } };
  const ticks = { stroke: colour('line'), width: 1, size: 4 };
  return {
    width,
    height: plotHeight,
    ...seriesOf(request),
    legend: { show: false },
    scales: {
      x: { time: false, range: (_, min, max) => xRange(min, max) },
      y: log
        ? { distr: logarithmic }
        : { distr: linear, range: (_, min, max) => valueRange(min, max, bounds) },
    },
    axes: [
      {
        ...axis,
        ticks,
        size: 30,
        values: (_, splits) => splits.map(x.format),
        ...(x.increments ? { incrs: [...x.increments] } : {}),
      },
      {
        ...axis,
        ticks,
        size: (chart, labels) => labelWidth(chart, labels),
        values: (_, splits) => splits.map((v: number | null) => (v === null ? '' : format(v))),
      },
    ],
    cursor: { y: false, drag: { x: true, y: false, uni: 10 } },
    hooks,
  };
}

function seriesOf({ lines, stacked }: PlotRequest): Pick<UPlot.Options, 'series' | 'bands'> {
  const series: UPlot.Series[] = [{}];
  const bands: UPlot.Band[] = [];
  for (const { name, colour: paint, pattern, dots = false, raw, low } of lines) {
    const stroke = colour(paint);
    series.push({
      label: name,
      stroke,
      width: stacked ? 0 : 1.5,
      spanGaps: true,
      points: { show: dots, size: 6 },
      dash: [...dashes[pattern]],
      ...(stacked ? { fill: stroke } : {}),
    });
    if (raw) series.push({ stroke: `${stroke}55`, width: 1, spanGaps: true, points: { show: false } });
    if (!low) continue;
    const invisible: UPlot.Series = {
      width: 0,
      stroke: 'transparent',
      points: { show: false },
      spanGaps: true,
    };
    const at = series.length;
    series.push(invisible, { ...invisible });
    bands.push({ series: [at + 1, at], fill: `${stroke}38` });
  }
  return { series, bands };
}

/** The values of all lines over their common x, as uPlot takes them. */
export function plotData(lines: readonly Line[], stacked: boolean): UPlot.AlignedData {
  const tables = lines.map(({ x, y, raw, low, high }): UPlot.AlignedData => [
    [...x],
    ...[y, raw, low, high].flatMap((column) => (column ? [[...column]] : [])),
  ]);
  if (stacked) return stack(tables);
  return tables.length === 1 && tables[0] ? tables[0] : UPlot.join(tables);
}

/** Stacks lines from the bottom up. The topmost comes first, so that the others are drawn over it. */
function stack(tables: readonly UPlot.AlignedData[]): UPlot.AlignedData {
  const x = [...(tables[0]?.[0] ?? [])];
  let below = x.map(() => 0);
  const sums = [...tables].reverse().map((table) => {
    below = below.map((sum, i) => sum + (table[1]?.[i] ?? 0));
    return below;
  });
  return [x, ...sums.reverse()];
}

/** Returns the width of an axis in CSS pixels, so that its longest label is not cut off. */
function labelWidth(chart: UPlot, labels: readonly string[] | null): number {
  const { ctx } = chart;
  ctx.save();
  ctx.font = axisFont;
  const widest = Math.max(0, ...(labels ?? []).map((label) => ctx.measureText(label).width));
  ctx.restore();
  return Math.max(minAxisWidth, Math.ceil(widest) + axisMargin);
}

export function drawMarks(chart: UPlot, marks: readonly Mark[]): void {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.setLineDash([4, 4]);
  for (const { x, bad } of marks) {
    const left = chart.valToPos(x, 'x', true);
    if (left < bbox.left || left > bbox.left + bbox.width) continue;
    ctx.strokeStyle = colour(bad ? 'bad' : 'c2');
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}
