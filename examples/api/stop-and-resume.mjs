import { train } from 'lockstep';

const [, , out] = process.argv;
const definition = new URL('lockstep.config.ts', import.meta.url);
const stop = new AbortController();
const onEvent = (event) => event.event === 'step' && event.step === 70 && stop.abort();
const stopped = await train(definition, { out, workers: 2, epochs: 4, signal: stop.signal, onEvent });
console.log(`${stopped.outcome} after step ${stopped.steps}`);
const run = await train(definition, { out, resume: 'auto' });
for (const { epoch, loss, test } of run.history) console.log(`epoch ${epoch}: ${loss}, test ${test.loss}`);
