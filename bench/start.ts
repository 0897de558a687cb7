/**
 * Measures the time from the command to the first step, and the peak memory of a worker, for the MNIST ConvNet:
 * `npm run bench:start -- [rounds]`. Requires Linux, because memory is read from /proc.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { RunEvent } from '../src/shared/runs/run-events.js';
import { median } from '../src/shared/arithmetic/quantile.js';
import { machineLine } from './measure.js';

const [rounds = 5] = process.argv.slice(2).map(Number);
const steps = 60;

/** Returns the peak resident memory of a process so far. */
function peakResidentMegabytes(pid: number): number {
  const kilobytes = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1024;
}

async function measure(): Promise<{ firstStepMs: number; megabytes: number }> {
  const out = mkdtempSync(path.join(os.tmpdir(), 'lockstep-bench-'));
  const startedMs = performance.now();
  const options = [
    '--workers',
    '2',
    '--threads',
    '1',
    '--max-steps',
    String(steps),
    '--evaluate',
    'none',
    '--json',
  ];
  const child = spawn(process.execPath, ['dist/cli/main.js', 'train', '--out', out, ...options], {
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 120_000,
  });
  const pids: number[] = [];
  let [firstStepMs, megabytes, text] = [0, 0, ''];
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    text += chunk.toString();
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      const event = JSON.parse(text.slice(0, end)) as RunEvent;
      text = text.slice(end + 1);
      if (event.event === 'worker') pids.push(event.pid);
      if (event.event === 'step' && event.step === 1) firstStepMs = performance.now() - startedMs;
      if (event.event === 'step' && event.step === steps - 5)
        megabytes = Math.max(...pids.map(peakResidentMegabytes));
    }
  }
  rmSync(out, { recursive: true, force: true });
  return { firstStepMs, megabytes };
}

const measured = [];
for (let round = 0; round < rounds; round++) measured.push(await measure());
console.log(`${machineLine()}, 2 workers, batch 64, medians of ${rounds} runs`);
console.log(
  `time from the command to the first step: ${(median(measured.map(({ firstStepMs }) => firstStepMs)) / 1000).toFixed(2)} s`,
);
console.log(
  `peak resident memory of the larger worker: ${median(measured.map(({ megabytes }) => megabytes)).toFixed(0)} MB`,
);
