/**
 * What the audit ledger or checkpoints cost: pairs of runs with and without, each pair in the opposite order of the one before:
 * `npm run bench:cost -- ledger|checkpoints [pairs] [steps] [options of train]`. The figure is the median of the pairs' ratios,
 * with their quartiles, because a shared machine's speed drifts by more than that. Rates are of whole runs.
 */
import { median, quantile } from '../src/shared/arithmetic/quantile.js';
import { imagesPerSecond, machineLine } from './measure.js';

const features: Readonly<Record<string, readonly string[]>> = {
  ledger: ['--audit'],
  checkpoints: ['--checkpoint-every', '50steps'],
};
const [name = 'ledger'] = process.argv.slice(2);
const extra = features[name];
if (!extra) throw new Error(`expected one of ${Object.keys(features).join(', ')}, got ${name}`);
const [pairs = 8, steps = 100] = process.argv.slice(3, 5).map(Number);
const given = process.argv.slice(5);
const options = given.length > 0 ? given : ['--workers', '2'];

const measure = (used: boolean): Promise<number> =>
  imagesPerSecond({ options: [...options, ...(used ? extra : [])], steps, warmUp: 15, whole: true });

const ratios: number[] = [];
for (let pair = 0; pair < pairs; pair++) {
  const usedFirst = pair % 2 === 1;
  const first = await measure(usedFirst);
  const second = await measure(!usedFirst);
  const [plain, used] = usedFirst ? [second, first] : [first, second];
  ratios.push(used / plain);
  console.log(`pair ${pair + 1}: ${plain.toFixed(0)} images/s, with ${name} ${used.toFixed(0)}`);
}

const quartile = (part: number): string => cost(quantile(ratios, part));
const cost = (ratio: number): string => `${((1 - ratio) * 100).toFixed(1)} %`;
console.log(
  `${machineLine()}, ${options.join(' ')}: ${name} cost ${cost(median(ratios))} ` +
    `(quartiles ${quartile(0.75)} to ${quartile(0.25)})`,
);
