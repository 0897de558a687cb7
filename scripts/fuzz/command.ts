/**
 * Hostile input, a million of it: `npm run fuzz -- [--frames 1000000] [--parsers 1000000] [--seed 1] [--steps 8000]`. First every
 * parser in this process, then a real training with strangers at its sockets, whose weights must be those of the same training
 * undisturbed and whose memory may not grow. Exit status 1 when any of that fails.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort } from '../../test/support/free-port.js';
import { attackTraining, undisturbed } from './beside.js';
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
const say = (line: string): void => console.log(line);
const megabytes = (): number => process.memoryUsage().rss / 2 ** 20;

if (parsers > 0) {
  const memory: number[] = [];
  const counts = attackParsers(parsers, random, () => memory.push(megabytes()));
  for (const [target, of] of counts)
    say(`${target}: ${[...of].map(([kind, count]) => `${kind} ${count}`).join(', ')}`);
  const [early = 0, late = 0] = [memory[Math.floor(memory.length / 4)], memory.at(-1)];
  say(`${parsers} inputs, memory ${early.toFixed(0)} to ${late.toFixed(0)} MB\n`);
  if (late - early > 64) problems.push('the parsers held on to memory');
}

if (frames > 0) {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-fuzz-'));
  try {
    const expected = await undisturbed(steps, folder);
    say(`undisturbed: ${steps} steps, weights ${expected.slice(0, 16)}`);
    const attack = { frames, steps, folder, port: await freePort() };
    const startedMs = performance.now();
    const result = await attackTraining(attack, random, (sent) => {
      process.stderr.write(`\r${sent} sent`);
    });
    const seconds = (performance.now() - startedMs) / 1000;
    process.stderr.write('\n');
    say(
      `attacked: weights ${result.weightsSha256.slice(0, 16)}, status ${String(result.status)}, ${seconds.toFixed(0)} s`,
    );
    const { control, data, plainConnections } = result.frames;
    say(
      `sent: ${control} to the coordinator, ${data} to the workers; ${plainConnections} plain connections at once`,
    );
    for (const { role, megabytes: quarters, grew } of result.memory) {
      if (quarters.some(Number.isNaN))
        problems.push(`too short to tell whether the ${role} grew: raise --frames`);
      say(`memory of ${role}, by quarters: ${quarters.map((mb) => mb.toFixed(0)).join(', ')} MB`);
      if (grew) problems.push(`${role} grew`);
    }
    say(`${result.warnings.length} warnings, ${result.generations} generations`);
    for (const warning of result.warnings.slice(0, 20)) say(`  ${warning}`);
    if (result.status !== 0 || expected === '' || result.weightsSha256 !== expected)
      problems.push(`the run ended with ${String(result.status)} and other weights`);
    if (result.tooShort) problems.push(`the training was over before the strangers: raise --steps ${steps}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
for (const problem of problems) say(`FAILED: ${problem}`);
process.exit(problems.length === 0 ? 0 : 1);
