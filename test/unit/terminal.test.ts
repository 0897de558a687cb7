import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { duration, frame, type Moment } from '../../src/cli/reporters/frame.js';
import { HumanReporter, type Terminal } from '../../src/cli/reporters/human.js';
import type { LogLevel } from '../../src/cli/reporters/lines.js';
import { StructuredLog } from '../../src/cli/reporters/structured-log.js';
import { runEvent, startEvent, statusEvent, stepEvent, workerStatus } from '../support/run-events.js';

const moment: Moment = {
  shards: 8,
  start: startEvent(),
  step: stepEvent(1407),
  status: statusEvent(
    workerStatus(0, { forward: 30, backward: 40, waitGradients: 10 }),
    workerStatus(1, { forward: 20, backward: 20, waitBatchNorm: 10, waitGradients: 30 }),
  ),
};

describe('the live view', () => {
  it('shows epoch, loss, rate, time left, and a line for each worker', () => {
    expect(frame(moment, 100, false)).toEqual([
      ' epoch 2/3  step 469/938  ━━━━━━━━━━━━━━──────────────  50 %',
      ' loss 0.0014  ·  1000 images/s  ·  learning rate 0.001  ·  1 min 30 s left',
      ' rank 0   CPU Model 8000  4/8 shards     80 ms a step   13 % waiting',
      ' rank 1   CPU Model 8000  4/8 shards     80 ms a step   50 % waiting',
    ]);
  });

  it('fits any width, in colours or without', () => {
    for (const columns of [1, 5, 20, 40, 60, 80, 200]) {
      const plain = frame(moment, columns, false);
      for (const line of plain) expect(line.length, `${columns}: ${line}`).toBeLessThanOrEqual(columns);
      expect(plain.join('')).not.toContain('\u001b');
      const coloured = frame(moment, columns, true);
      expect(coloured.map(stripVTControlCharacters)).toEqual(plain);
      expect(coloured.join('')).toContain('\u001b');
    }
  });

  it('says what is waited for before the first step, and sums up what would not fit', () => {
    const loading = { ...workerStatus(0, null), rank: null, device: '', state: 'loading' as const };
    const status = { ...statusEvent(loading), phase: 'gathering' };
    expect(frame({ shards: 8, status }, 80, false)).toEqual([
      ' Waiting for workers to load',
      ' standby  pid 100  loading',
    ]);
    const many = statusEvent(...Array.from({ length: 11 }, (_, rank) => workerStatus(rank, null)));
    expect(frame({ shards: 11, status: many }, 80, false).at(-1)).toBe(' and 3 more');
    expect(frame({ shards: 1 }, 80, false)).toEqual([]);
  });

  it('says durations the way people do', () => {
    expect([0.4, 59, 60, 3599.4, 7505].map(duration)).toEqual([
      '0 s',
      '59 s',
      '1 min 0 s',
      '59 min 59 s',
      '2 h 5 min',
    ]);
  });
});

/** What a reporter writes on a stream, terminal or not. */
function written(terminal: Partial<Terminal>, level: LogLevel, dumb = false): string {
  const stream = Object.assign(new PassThrough(), terminal);
  const reporter = new HumanReporter({ stream, level, dumb });
  for (const event of [runEvent(), startEvent(), stepEvent(100), stepEvent(101)]) reporter.emit(event);
  reporter.emit({ event: 'warning', message: 'careful', timeMs: 1 });
  reporter.close();
  return String(stream.read() ?? '');
}

describe('what people read', () => {
  it('is plain lines where stderr is no terminal, or a dumb one', () => {
    const lines = [
      'digits: 2 workers, 8 shards, batch 64, 1 threads a worker, seed 1',
      '7 parameters, 2814 steps',
      'Epoch:1/3, step:100, loss:0.0200, 1000 images/s',
      'Warning: careful',
      '',
    ].join('\n');
    expect(written({}, 'info')).toBe(lines);
    expect(written({ isTTY: true, columns: 80 }, 'info', true)).toBe(lines);
  });

  it('is what the level lets through', () => {
    expect(written({}, 'warn')).toBe('Warning: careful\n');
    expect(written({}, 'silent')).toBe('');
    expect(written({}, 'debug')).toContain('step:101');
  });

  it('has the view below the lines on a terminal, coloured if the terminal wants colours', () => {
    const of = (colours: boolean): string =>
      written({ isTTY: true, columns: 80, hasColors: () => colours }, 'info');
    expect(stripVTControlCharacters(of(true))).toContain('epoch 1/3  step 101/938  ━');
    expect(of(true)).toContain('\u001b[1m');
    expect(of(false)).toContain('epoch 1/3  step 101/938  ━');
    expect(of(false)).not.toMatch(/\u001b\[\d+m/);
  });
});

describe('the structured log', () => {
  it('is a JSON object a line with level, time, event and words', () => {
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
