import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { formatDuration } from '../../src/cli/reporters/duration.js';
import { liveView, type LatestEvents } from '../../src/cli/reporters/live-view.js';
import type { LogLevel } from '../../src/cli/reporters/log-level.js';
import { StructuredLog } from '../../src/cli/reporters/structured-log.js';
import { TerminalReporter, type Terminal } from '../../src/cli/reporters/terminal-reporter.js';
import { runEvent, startEvent, statusEvent, stepEvent, workerStatus } from '../support/run-events.js';

const latest: LatestEvents = {
  shards: 8,
  start: startEvent(),
  step: stepEvent(1407),
  status: statusEvent(
    workerStatus(0, { forward: 30, backward: 40, waitGradients: 10 }),
    workerStatus(1, { forward: 20, backward: 20, waitBatchNorm: 10, waitGradients: 30 }),
  ),
};

describe('the live view', () => {
  it('shows epoch, loss, rate, remaining time, and one line per worker', () => {
    expect(liveView(latest, 100, false)).toEqual([
      ' epoch 2/3  step 469/938  ━━━━━━━━━━━━━━──────────────  50 %',
      ' loss 0.0014  ·  1000 samples/s  ·  learning rate 0.001  ·  1 min 30 s left',
      ' rank 0   CPU Model 8000  4/8 shards     80 ms per step   13 % waiting',
      ' rank 1   CPU Model 8000  4/8 shards     80 ms per step   50 % waiting',
    ]);
  });

  it('fits any width, with and without colours', () => {
    for (const columns of [1, 5, 20, 40, 60, 80, 200]) {
      const plain = liveView(latest, columns, false);
      for (const line of plain) expect(line.length, `${columns}: ${line}`).toBeLessThanOrEqual(columns);
      expect(plain.join('')).not.toContain('\u001b');
      const coloured = liveView(latest, columns, true);
      expect(coloured.map(stripVTControlCharacters)).toEqual(plain);
      expect(coloured.join('')).toContain('\u001b');
    }
  });

  it('shows the phase before the first step, and counts the workers that do not fit', () => {
    const loading = { ...workerStatus(0, null), rank: null, device: '', state: 'loading' as const };
    const status = { ...statusEvent(loading), phase: 'gathering' };
    expect(liveView({ shards: 8, status }, 80, false)).toEqual([
      ' Waiting for workers to load',
      ' standby  pid 100  loading',
    ]);
    const many = statusEvent(...Array.from({ length: 11 }, (_, rank) => workerStatus(rank, null)));
    expect(liveView({ shards: 11, status: many }, 80, false).at(-1)).toBe(' and 3 more');
    expect(liveView({ shards: 1 }, 80, false)).toEqual([]);
  });

  it('formats durations in the two largest units', () => {
    expect([0.4, 59, 60, 3599.4, 7505].map(formatDuration)).toEqual([
      '0 s',
      '59 s',
      '1 min 0 s',
      '59 min 59 s',
      '2 h 5 min',
    ]);
  });
});

/** Returns the output of a reporter on a stream, which may be a terminal. */
function written(terminal: Partial<Terminal>, level: LogLevel, dumb = false): string {
  const stream = Object.assign(new PassThrough(), terminal);
  const reporter = new TerminalReporter({ stream, level, dumb });
  for (const event of [runEvent(), startEvent(), stepEvent(100), stepEvent(101)]) reporter.emit(event);
  reporter.emit({ event: 'warning', message: 'careful', timeMs: 1 });
  reporter.close();
  return String(stream.read() ?? '');
}

describe('the text output', () => {
  it('consists of plain lines if stderr is not a terminal, or a dumb one', () => {
    const lines = [
      'digits: 2 workers, 8 shards, batch 64, 1 thread per worker, seed 1',
      '7 parameters, 2814 steps',
      'Epoch:1/3, step:100, loss:0.0200, 1000 samples/s',
      'Warning: careful',
      '',
    ].join('\n');
    expect(written({}, 'info')).toBe(lines);
    expect(written({ isTTY: true, columns: 80 }, 'info', true)).toBe(lines);
  });

  it('contains the lines of the level and above', () => {
    expect(written({}, 'warn')).toBe('Warning: careful\n');
    expect(written({}, 'silent')).toBe('');
    expect(written({}, 'debug')).toContain('step:101');
  });

  it('has the view below the lines on a terminal, in colours if they are enabled', () => {
    const output = (colours: boolean): string =>
      written({ isTTY: true, columns: 80, hasColors: () => colours }, 'info');
    expect(stripVTControlCharacters(output(true))).toContain('epoch 1/3  step 101/938  ━');
    expect(output(true)).toContain('\u001b[1m');
    expect(output(false)).toContain('epoch 1/3  step 101/938  ━');
    expect(output(false)).not.toMatch(/\u001b\[\d+m/);
  });
});

describe('the structured log', () => {
  it('has one JSON object per line with level, time, event and message', () => {
    let text = '';
    const log = new StructuredLog('info', { write: (chunk) => (text += chunk) });
    for (const event of [startEvent(), stepEvent(99), stepEvent(100)]) log.emit(event);
    log.emit({ event: 'error', code: 'DATA', message: 'gone', timeMs: 1 });
    log.close();
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toMatchObject([
      { level: 'info', event: 'start', msg: '7 parameters, 2814 steps' },
      { level: 'info', event: 'step', step: 100 },
      { level: 'error', event: 'error', msg: 'Error (DATA): gone' },
    ]);
    for (const line of lines) expect(line).toHaveProperty('time', expect.any(Number));
  });
});
