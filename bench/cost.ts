/**
 * Measures the throughput cost of the audit ledger or of checkpoints:
 * `npm run bench:cost -- ledger|checkpoints [pairs] [steps] [options of train]`.
 *
 * Runs with and without the feature form pairs, each in the opposite order of the previous one. The result is the median ratio of a
 * pair with its quartiles, because the speed of a shared machine drifts by more than the cost. Rates cover whole runs.
 */
import { median, quantile } from '../src/shared/arithmetic/quantile.js';
import { imagesPerSecond, machineLine } from './measure.js';

const features: Readonly<Record<string, readonly string[]>> = {
  ledger: ['--audit'],
  checkpoints: ['--checkpoint-every', '50steps'],
};
const [name = 'ledger'] = process.argv.slice(2);
const extra = features[name];
if (!extra) throw new Error(`feature: expected one of ${Object.keys(features).join(', ')}, got ${name}.`);
const [pairs = 8, steps = 100] = process.argv.slice(3, 5).map(Number);
const given = process.argv.slice(5);
const options = given.length > 0 ? given : ['--workers', '2'];

const measure = (enabled: boolean): Promise<number> =>
  imagesPerSecond({ options: [...options, ...(enabled ? extra : [])], steps, warmUp: 15, whole: true });

const ratios: number[] = [];
for (let pair = 0; pair < pairs; pair++) {
  const enabledFirst = pair % 2 === 1;
  const first = await measure(enabledFirst);
  const second = await measure(!enabledFirst);
  const [disabled, enabled] = enabledFirst ? [second, first] : [first, second];
  ratios.push(enabled / disabled);
  console.log(
    `pair ${pair + 1}: ${disabled.toFixed(0)} images/s without ${name}, ${enabled.toFixed(0)} with it`,
  );
}

const quartile = (fraction: number): string => cost(quantile(ratios, fraction));
const cost = (ratio: number): string => `${((1 - ratio) * 100).toFixed(1)} %`;
console.log(
  `${machineLine()}, ${options.join(' ')}: cost of ${name}: ${cost(median(ratios))} ` +
    `(quartiles ${quartile(0.75)} to ${quartile(0.25)})`,
);
