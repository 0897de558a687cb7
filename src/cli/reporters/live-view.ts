/** The live view of a run as lines of text of a given width. It does not access the terminal. */

import pc from 'picocolors';
import type { RunEvent, WorkerStatus } from '../../shared/runs/run-events.js';
import { totalOf, waitingOf } from '../../shared/timeline/step-parts.js';
import { formatDuration } from './duration.js';

/** The content of the view: the latest event of each kind. */
export interface LatestEvents {
  readonly start?: Extract<RunEvent, { event: 'start' }>;
  readonly step?: Extract<RunEvent, { event: 'step' }>;
  readonly status?: Extract<RunEvent, { event: 'status' }>;
  /** Number of shards of the run. */
  readonly shards: number;
}

/** Number of workers with a line of their own. */
const mostRows = 8;
const barWidth = 28;
/** A worker that waits for more than this fraction of its time is highlighted. */
const longWait = 0.3;

const phases: Readonly<Record<string, string>> = {
  gathering: 'Waiting for workers to load',
  connecting: 'Connecting workers',
  reconfiguring: 'Reconfiguring after a change of workers',
  saving: 'Saving the model',
  stopping: 'Writing the last checkpoint',
};

type Colors = ReturnType<typeof pc.createColors>;

/** Returns lines without a newline, none longer than `columns`; empty while there is nothing to show. */
export function liveView(latest: LatestEvents, columns: number, colored: boolean): string[] {
  const { start, step, status } = latest;
  const colors = pc.createColors(colored);
  const rows = workerRows(latest, columns, colors);
  const phase = phases[status?.phase ?? ''];
  const phaseRows = phase === undefined ? [] : [colors.cyan(fit(` ${phase}`, columns))];
  if (!start) return [...phaseRows, ...rows];
  const head = progressRow(start, step, columns, colors);
  if (!step) return [head, ...phaseRows, ...rows];
  const left = step.imagesPerSecond > 0 ? secondsLeft(start, step) : undefined;
  const figures = [
    `loss ${step.loss.toFixed(4)}`,
    `${Math.round(step.imagesPerSecond)} samples/s`,
    `learning rate ${Number(step.learningRate.toPrecision(3))}`,
    ...(left === undefined ? [] : [`${formatDuration(left)} left`]),
  ];
  return [head, fit(` ${figures.join('  ·  ')}`, columns), ...phaseRows, ...rows];
}

function progressRow(
  start: NonNullable<LatestEvents['start']>,
  step: LatestEvents['step'],
  columns: number,
  colors: Colors,
): string {
  const done = step?.step ?? 0;
  const inEpoch = done === 0 ? 0 : ((done - 1) % start.stepsPerEpoch) + 1;
  const epoch = `epoch ${step?.epoch ?? 1}/${start.epochs}`;
  const steps = `step ${inEpoch}/${start.stepsPerEpoch}`;
  const percent = `${Math.floor((100 * done) / Math.max(1, start.steps))} %`;
  const width = Math.max(0, Math.min(barWidth, columns - epoch.length - steps.length - percent.length - 8));
  if (width < 4) return colors.bold(fit(` ${epoch}  ${steps}  ${percent}`, columns));
  const filled = Math.round((width * done) / Math.max(1, start.steps));
  const bar = `${colors.green('━'.repeat(filled))}${colors.dim('─'.repeat(width - filled))}`;
  return ` ${colors.bold(epoch)}  ${steps}  ${bar}  ${percent}`;
}

/** Estimates the remaining time from the current rate, without evaluations. */
function secondsLeft(
  start: NonNullable<LatestEvents['start']>,
  step: NonNullable<LatestEvents['step']>,
): number {
  return ((start.steps - step.step) * step.samples) / step.imagesPerSecond;
}

function workerRows({ status, shards }: LatestEvents, columns: number, colors: Colors): string[] {
  if (!status) return [];
  const listed = status.workers.slice(0, mostRows);
  const deviceWidth = Math.min(22, Math.max(0, ...listed.map(({ device }) => device.length)));
  const rows = listed.map((worker) => {
    const text = fit(workerRow(worker, shards, deviceWidth), columns);
    if (worker.state === 'loading') return colors.dim(text);
    return worker.parts && waitingOf(worker.parts) > longWait * totalOf(worker.parts)
      ? colors.yellow(text)
      : text;
  });
  const hidden = status.workers.length - listed.length;
  return hidden > 0 ? [...rows, colors.dim(fit(` and ${hidden} more`, columns))] : rows;
}

function workerRow(
  { rank, pid, device, state, parts, shards }: WorkerStatus,
  allShards: number,
  deviceWidth: number,
): string {
  const name = (rank === null ? 'standby' : `rank ${rank}`).padEnd(8);
  const shownDevice = (device === '' ? `pid ${pid}` : clip(device, deviceWidth)).padEnd(deviceWidth);
  if (state === 'loading') return ` ${name} ${shownDevice}  loading`;
  const row = ` ${name} ${shownDevice}  ${shards}/${allShards} shards`;
  if (!parts) return row;
  const total = totalOf(parts);
  const waiting = total > 0 ? Math.round((100 * waitingOf(parts)) / total) : 0;
  return `${row}  ${total.toFixed(0).padStart(5)} ms per step  ${String(waiting).padStart(3)} % waiting`;
}

const clip = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;

const fit = (text: string, columns: number): string => clip(text, Math.max(1, columns - 1));
