/**
 * What the audit ledger costs: pairs of runs with and without `--audit`, each pair in the opposite order of the one before:
 * `npm run bench:ledger -- [pairs] [steps] [options of train]`. The figure is the median of the pairs' ratios, with their
 * quartiles, because a shared machine's speed drifts by more than the ledger costs.
 */
import { imagesPerSecond, machineLine, median } from './measure.js';

const [pairs = 8, steps = 100] = process.argv.slice(2, 4).map(Number);
const given = process.argv.slice(4);
const options = given.length > 0 ? given : ['--workers', '2'];

const measure = (audit: boolean): number =>
  imagesPerSecond({ options: [...options, ...(audit ? ['--audit'] : [])], steps, warmUp: 15 });

const ratios: number[] = [];
for (let pair = 0; pair < pairs; pair++) {
  const auditFirst = pair % 2 === 1;
  const first = measure(auditFirst);
  const second = measure(!auditFirst);
  const [plain, audited] = auditFirst ? [second, first] : [first, second];
  ratios.push(audited / plain);
  console.log(`pair ${pair + 1}: ${plain.toFixed(0)} images/s, with the ledger ${audited.toFixed(0)}`);
}

const sorted = [...ratios].sort((a, b) => a - b);
const quartile = (part: number): string => cost(sorted[Math.round(part * (sorted.length - 1))] ?? Number.NaN);
const cost = (ratio: number): string => `${((1 - ratio) * 100).toFixed(1)} %`;
console.log(
  `${machineLine()}, ${options.join(' ')}: the ledger costs ${cost(median(ratios))} ` +
    `(quartiles ${quartile(0.75)} to ${quartile(0.25)})`,
);
