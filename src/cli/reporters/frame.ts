/** The live view as text: what a run looks like at one moment, in a few lines of a given width. Knows no terminal. */

import pc from 'picocolors';
import type { RunEvent, WorkerStatus } from '../../shared/runs/run-events.js';
import { totalOf, waitingOf } from '../../shared/timeline/step-parts.js';

/** What the view shows: the newest of each kind of event. */
export interface Moment {
  readonly start?: Extract<RunEvent, { event: 'start' }>;
  readonly step?: Extract<RunEvent, { event: 'step' }>;
  readonly status?: Extract<RunEvent, { event: 'status' }>;
  /** Of the whole run. */
  readonly shards: number;
}

/** More workers than these are summed up. */
const mostRows = 8;
const barWidth = 28;
/** A worker that waits longer than this part of its time is worth a look. */
const longWait = 0.3;

const phases: Readonly<Record<string, string>> = {
  gathering: 'Waiting for workers to load',
  connecting: 'Workers meet each other',
  regrouping: 'Regrouping after a change of workers',
  saving: 'Saving the model',
  stopping: 'Writing the last checkpoint',
};

/** Lines without a newline, none longer than `columns`. Empty while there is nothing to show. */
export function frame(moment: Moment, columns: number, colours: boolean): string[] {
  const { start, step, status } = moment;
  const paint = pc.createColors(colours);
  const rows = workerRows(moment, columns, paint);
  const phase = phases[status?.phase ?? ''];
  const said = phase === undefined ? [] : [paint.cyan(fit(` ${phase}`, columns))];
  if (!start) return [...said, ...rows];
  const done = step?.step ?? 0;
  const inEpoch = done === 0 ? 0 : ((done - 1) % start.stepsPerEpoch) + 1;
  const epoch = `epoch ${step?.epoch ?? 1}/${start.epochs}`;
  const steps = `step ${inEpoch}/${start.stepsPerEpoch}`;
  const percent = `${Math.floor((100 * done) / Math.max(1, start.steps))} %`;
  const width = Math.max(0, Math.min(barWidth, columns - epoch.length - steps.length - percent.length - 8));
  const filled = Math.round((width * done) / Math.max(1, start.steps));
  const bar = `${paint.green('━'.repeat(filled))}${paint.dim('─'.repeat(width - filled))}`;
  const head =
    width < 4
      ? paint.bold(fit(` ${epoch}  ${steps}  ${percent}`, columns))
      : ` ${paint.bold(epoch)}  ${steps}  ${bar}  ${percent}`;
  if (!step) return [head, ...said, ...rows];
  const left = step.imagesPerSecond > 0 ? secondsLeft(start, step) : undefined;
  const figures = [
    `loss ${step.loss.toFixed(4)}`,
    `${Math.round(step.imagesPerSecond)} images/s`,
    `learning rate ${Number(step.learningRate.toPrecision(3))}`,
    ...(left === undefined ? [] : [`${duration(left)} left`]),
  ];
  return [head, fit(` ${figures.join('  ·  ')}`, columns), ...said, ...rows];
}

/** At the rate of now; evaluations not counted. */
function secondsLeft(start: NonNullable<Moment['start']>, step: NonNullable<Moment['step']>): number {
  return ((start.steps - step.step) * step.samples) / step.imagesPerSecond;
}

type Paint = ReturnType<typeof pc.createColors>;

function workerRows({ status, shards }: Moment, columns: number, paint: Paint): string[] {
  if (!status) return [];
  const shown = status.workers.slice(0, mostRows);
  const deviceWidth = Math.min(22, Math.max(0, ...shown.map(({ device }) => device.length)));
  const rows = shown.map((worker) => {
    const text = fit(workerRow(worker, shards, deviceWidth), columns);
    if (worker.state === 'loading') return paint.dim(text);
    return worker.parts && waitingOf(worker.parts) > longWait * totalOf(worker.parts)
      ? paint.yellow(text)
      : text;
  });
  const hidden = status.workers.length - shown.length;
  return hidden > 0 ? [...rows, paint.dim(fit(` and ${hidden} more`, columns))] : rows;
}

function workerRow(
  { rank, pid, device, state, parts, shards }: WorkerStatus,
  all: number,
  wide: number,
): string {
  const name = rank === null ? 'standby' : `rank ${rank}`;
  const place = device === '' ? `pid ${pid}`.padEnd(wide) : clip(device, wide).padEnd(wide);
  if (state === 'loading') return ` ${name.padEnd(8)} ${place}  loading`;
  const share = `${shards}/${all} shards`;
  if (!parts) return ` ${name.padEnd(8)} ${place}  ${share}`;
  const total = totalOf(parts);
  const waits = total > 0 ? Math.round((100 * waitingOf(parts)) / total) : 0;
  return ` ${name.padEnd(8)} ${place}  ${share}  ${total.toFixed(0).padStart(5)} ms a step  ${String(waits).padStart(3)} % waiting`;
}

const clip = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;

const fit = (text: string, columns: number): string => clip(text, Math.max(1, columns - 1));

/** `41 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
