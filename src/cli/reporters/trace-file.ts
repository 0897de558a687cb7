/**
 * Writes the timeline of `--trace FILE` in Chrome's trace event format (Trace Event Format, "JSON Array Format"), in the
 * coordinator's process, and summarizes it. Perfetto and chrome://tracing open the file.
 */

import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join, parse } from 'node:path';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { AppendingFile } from '../../shared/files/appending-file.js';
import type { RunEvent } from '../../shared/runs/run-events.js';
import { nowUs, type Span } from '../../shared/timeline/spans.js';
import { TimelineSummary } from '../../shared/timeline/summary.js';

export interface TraceFile {
  record(rank: number, spans: readonly Span[]): void;
  summary(): RunEvent | undefined;
  close(): Promise<void>;
}

const none: TraceFile = {
  record: () => undefined,
  summary: () => undefined,
  close: () => Promise.resolve(),
};

const waits: readonly string[] = ['waitBatchNorm', 'waitGradients'];

/** Returns the first name of `trace.json`, `trace.2.json`, `trace.3.json` and so on that no file has. */
function freeName(file: string): string {
  const { dir, name, ext } = parse(file);
  for (let number = 2, candidate = file; ; number++) {
    if (!existsSync(candidate)) return candidate;
    candidate = join(dir, `${name}.${number}${ext}`);
  }
}

/**
 * @param isContinued true for a run that is resumed or taken over. Its earlier timeline has another origin of time and stays as it is; this
 * one is in a file of its own, e.g. `trace.2.json`
 * @param warn receives a message if the file cannot be written later; the trace then continues as soon as it can be written
 * @throws ConfigError if the file cannot be written now
 */
export function openTraceFile(
  wanted: string | null,
  isContinued: boolean,
  warn: (message: string) => void,
): TraceFile {
  if (wanted === null) return none;
  const file = isContinued ? freeName(wanted) : wanted;
  const originUs = nowUs();
  const sinceStart = (us: number): number => Math.round((us - originUs) * 10) / 10;
  const output = openOutput(file, warn, () => sinceStart(nowUs()));
  output.append('[\n', { essential: true });
  const summaries = new Map<number, TimelineSummary>();
  let first = true;
  let flights = 0;
  const write = (event: object, essential = false): void => {
    output.append(`${first ? '' : ',\n'}${JSON.stringify(event)}`, { essential });
    first = false;
  };
  const summaryOf = (rank: number): TimelineSummary => {
    const held = summaries.get(rank);
    if (held) return held;
    const made = new TimelineSummary();
    summaries.set(rank, made);
    write({ ph: 'M', pid: rank, name: 'process_name', args: { name: `rank ${rank}` } }, true);
    write({ ph: 'M', pid: rank, tid: 1, name: 'thread_name', args: { name: 'main thread' } }, true);
    return made;
  };
  return {
    record: (rank, spans) => {
      summaryOf(rank).add(spans);
      for (const { kind, name, step, startUs, durationUs } of spans) {
        const common = {
          name: waits.includes(kind) ? `wait ${name}` : name,
          cat: kind,
          pid: rank,
          args: { step },
        };
        const ts = sinceStart(startUs);
        const dur = Math.round(durationUs * 10) / 10;
        if (kind === 'collective') {
          // Collectives overlap each other, so they are asynchronous events, each with its own id.
          const id = `${rank}/${++flights}`;
          write({ ...common, ph: 'b', id, tid: 2, ts });
          write({ ...common, ph: 'e', id, tid: 2, ts: ts + dur });
        } else {
          write({ ...common, ph: 'X', tid: 1, ts, dur });
        }
      }
    },
    summary: () => {
      const workers = [...summaries].flatMap(([rank, summary]) => {
        const times = summary.times();
        return times ? [{ rank, ...times }] : [];
      });
      workers.sort((a, b) => a.rank - b.rank);
      return workers.length > 0 ? { event: 'timeline', path: file, workers } : undefined;
    },
    close: () => {
      output.append('\n]\n', { essential: true });
      return output.close();
    },
  };
}

/** @param now returns the time of an event, for the event that reports missing ones */
function openOutput(file: string, warn: (message: string) => void, now: () => number): AppendingFile {
  const gapEvent = (events: number): object => ({
    ph: 'i',
    s: 'g',
    pid: 0,
    tid: 1,
    name: 'missing events',
    ts: now(),
    args: { events },
  });
  const output = new AppendingFile({
    path: file,
    name: 'Trace',
    format: {
      // Viewers accept a file that lacks its end, but no other incomplete event.
      incompleteEnd: 'cut',
      intactBytes: (_, size) => Promise.resolve(size),
      gap: ({ records }) => `,\n${JSON.stringify(gapEvent(records))}`,
    },
    mode: 'new',
    notify: warn,
  });
  try {
    mkdirSync(dirname(file), { recursive: true });
    output.create();
  } catch (cause) {
    throw new ConfigError(
      `--trace: ${file} can't be written (${systemCode(cause) ?? String(cause)}). Choose another file.`,
      { file },
      cause,
    );
  }
  return output;
}
