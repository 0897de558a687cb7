/**
 * Random models: `npm run fuzz:models -- [--models 1000] [--seed 1]`. Model i has the seed `seed` + i, so a failure is repeated by its
 * seed with `--models 1`. The exit status is 1 if a model is neither refused with the name of a layer nor trained to equal bits for any
 * number of workers and to the values of tfjs's own `fit`.
 */

import { parseArgs } from 'node:util';
import { engineFor } from '../../test/support/in-process.js';
import { checkRandomModel, describeRandomModel } from '../../test/support/zoo/check-random-model.js';

const { values: given } = parseArgs({
  options: { models: { type: 'string', default: '1000' }, seed: { type: 'string', default: '1' } },
});
const [models, firstSeed] = [Number(given.models), Number(given.seed)];
const engine = await engineFor('wasm');
const counts = new Map<string, number>();
const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
let failures = 0;
const startedMs = performance.now();

for (let seed = firstSeed; seed < firstSeed + models; seed++) {
  try {
    const outcome = await checkRandomModel(engine, seed);
    if (outcome.kind === 'refused') count(`refused, ${outcome.reason}`);
    else
      count(`trained, reference: ${outcome.reference}${outcome.reason === '' ? '' : `, ${outcome.reason}`}`);
    if (models === 1) console.log(outcome, describeRandomModel(engine, seed));
  } catch (error) {
    failures++;
    const text = error instanceof Error && models === 1 ? error.stack : String(error);
    console.log(`FAILED: seed ${seed}: ${text}\n  ${describeRandomModel(engine, seed)}`);
  }
}
for (const [what, times] of [...counts].sort(([, a], [, b]) => b - a)) console.log(`${times} ${what}`);
const seconds = (performance.now() - startedMs) / 1000;
console.log(`${models} models from seed ${firstSeed}, ${failures} failures, ${seconds.toFixed(0)} s`);
process.exit(failures === 0 ? 0 : 1);
