/**
 * Writes the timeline of `--trace FILE` in Chrome's trace event format (Trace Event Format, "JSON Array Format"), in the
 * coordinator's process, and summarizes it. Perfetto and chrome://tracing open the file.
 */

import { createWriteStream, mkdirSync, writeFileSync, type WriteStream } from 'node:fs';
import { dirname } from 'node:path';
import { ConfigError, systemCode } from '../../shared/errors.js';
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

/** A disk that is full later ends the trace, not the training. @throws ConfigError if the file cannot be written */
export function openTraceFile(file: string | null): TraceFile {
  if (file === null) return none;
  let stream: WriteStream;
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, '[\n');
    stream = createWriteStream(file, { flags: 'a' });
  } catch (cause) {
    throw new ConfigError(
      `--trace: ${file} can't be written (${systemCode(cause) ?? String(cause)}). Choose another file.`,
      { file },
      cause,
    );
  }
  let broken = false;
  stream.on('error', (error) => {
    if (!broken) process.stderr.write(`The trace in ${file} stops: ${error.message}\n`);
    broken = true;
  });
  const originUs = nowUs();
  const summaries = new Map<number, TimelineSummary>();
  let first = true;
  let flights = 0;
  const write = (event: object): void => {
    if (!broken) stream.write(`${first ? '' : ',\n'}${JSON.stringify(event)}`);
    first = false;
  };
  const summaryOf = (rank: number): TimelineSummary => {
    const held = summaries.get(rank);
    if (held) return held;
    const made = new TimelineSummary();
    summaries.set(rank, made);
    write({ ph: 'M', pid: rank, name: 'process_name', args: { name: `rank ${rank}` } });
    write({ ph: 'M', pid: rank, tid: 1, name: 'thread_name', args: { name: 'main thread' } });
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
        const ts = Math.round((startUs - originUs) * 10) / 10;
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
    close: () => new Promise((done) => (broken ? done() : stream.end('\n]\n', done))),
  };
}
