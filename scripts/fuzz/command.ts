/**
 * Fuzz test: `npm run fuzz -- [--frames 1000000] [--parsers 1000000] [--seed 1] [--steps 8000]`.
 *
 * First gives hostile bytes to every parser in this process. Then attacks the sockets of a real training: its weights must equal those of
 * the same training without an attack, and its memory must not grow. The exit status is 1 if one of these fails.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort } from '../../test/support/free-port.js';
import { attackTraining, referenceWeights } from './attack-training.js';
import { seeded } from './mutate.js';
import { attackParsers } from './parsers.js';

const { values: given } = parseArgs({
  options: {
    frames: { type: 'string', default: '1000000' },
    parsers: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    steps: { type: 'string', default: '8000' },
  },
});
const [frames, parsers, seed, steps] = [given.frames, given.parsers, given.seed, given.steps].map(Number) as [
  number,
  number,
  number,
  number,
];
const random = seeded(seed);
const problems: string[] = [];
const megabytes = (): number => process.memoryUsage().rss / 2 ** 20;

if (parsers > 0) {
  const memory: number[] = [];
  const counts = attackParsers(parsers, random, () => memory.push(megabytes()));
  for (const [target, outcomes] of counts)
    console.log(`${target}: ${[...outcomes].map(([kind, count]) => `${kind} ${count}`).join(', ')}`);
  const [early = 0, late = 0] = [memory[Math.floor(memory.length / 4)], memory.at(-1)];
  console.log(`${parsers} inputs, memory ${early.toFixed(0)} to ${late.toFixed(0)} MB\n`);
  if (late - early > 64) problems.push('parsers: memory grew by more than 64 MB');
}

if (frames > 0) {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-fuzz-'));
  try {
    const expected = await referenceWeights(steps, folder);
    console.log(`without attack: ${steps} steps, weights ${expected.slice(0, 16)}`);
    const attack = { frames, steps, folder, port: await freePort() };
    const startedMs = performance.now();
    const result = await attackTraining(attack, random, (sent) => {
      process.stderr.write(`\r${sent} sent`);
    });
    const seconds = (performance.now() - startedMs) / 1000;
    process.stderr.write('\n');
    console.log(
      `with attack: weights ${result.weightsSha256.slice(0, 16)}, status ${String(result.status)}, ${seconds.toFixed(0)} s`,
    );
    const { control, data, plainConnections } = result.sent;
    console.log(
      `sent: ${control} messages to the coordinator, ${data} frames to the workers; ${plainConnections} concurrent TCP connections`,
    );
    for (const { role, megabytes: quarters, grew } of result.memory) {
      if (quarters.some(Number.isNaN)) problems.push(`${role}: too few memory samples. Increase --frames.`);
      console.log(`memory of ${role} by quarter: ${quarters.map((mb) => mb.toFixed(0)).join(', ')} MB`);
      if (grew) problems.push(`${role}: memory grew`);
    }
    console.log(`${result.warnings.length} warnings, ${result.generations} generations`);
    for (const warning of result.warnings.slice(0, 20)) console.log(`  ${warning}`);
    if (result.status !== 0 || expected === '' || result.weightsSha256 !== expected)
      problems.push(
        `run: expected exit status 0 and equal weights, got exit status ${String(result.status)} and weights ${result.weightsSha256}`,
      );
    if (result.endedEarly)
      problems.push(`run: ended before all messages were sent. Increase --steps ${steps}.`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
for (const problem of problems) console.log(`FAILED: ${problem}`);
process.exit(problems.length === 0 ? 0 : 1);
