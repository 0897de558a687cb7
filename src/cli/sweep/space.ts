/** The values that a sweep tries: all combinations of a grid, and random draws. */

import { exactMath } from '../../shared/arithmetic/exact-math.js';
import { parseAssignment } from '../../shared/config/assignments.js';
import { ConfigError } from '../../shared/errors.js';
import { PhiloxSequence, philoxKey } from '../../shared/random/philox.js';

/** The options of a sweep, as text. */
export interface SweepSpace {
  /** `field=value,value,...` */
  readonly grid: readonly string[];
  /** `field=value,value,...`, `field=low..high`, `field=log:low..high` or `field=int:low..high` */
  readonly random: readonly string[];
  /** Number of random draws for each combination of the grid. */
  readonly trials: number;
  readonly seed: number;
}

/** The assignments of one run, as `--set` takes them, by field. */
export type Trial = Readonly<Record<string, string>>;

/** More runs than this are a mistake. */
const mostTrials = 10_000;

/**
 * The trials depend on their arguments only, so that an interrupted sweep continues with the same ones.
 * @throws ConfigError naming an unknown field, a value of another type, or a field that occurs twice
 */
export function trialsOf({ grid, random, trials, seed }: SweepSpace): readonly Trial[] {
  const fields = [...grid, ...random].map((text) => split(text)[0]);
  const twice = fields.find((field, i) => fields.indexOf(field) !== i);
  if (twice !== undefined)
    throw new ConfigError(`sweep: expected each field once, got ${twice} twice. Leave one of them out.`);
  if (fields.length === 0)
    throw new ConfigError(
      'sweep: expected --grid or --random with a field, got none. Write --grid batchSize=32,64.',
    );
  if (random.length === 0 && trials !== 1)
    throw new ConfigError(
      `--trials ${trials}: expected --random, got a grid alone, which has each run once. Leave it out.`,
    );
  const axes = grid.map((text) => {
    const [field, values] = split(text);
    return listOf(field, values).map((value) => ({ [field]: value }));
  });
  const size = axes.reduce((product, axis) => product * axis.length, 1) * trials;
  if (size > mostTrials)
    throw new ConfigError(
      `sweep: expected at most ${mostTrials} runs, got ${size}. Try fewer values, or --random.`,
    );
  const combinations = axes.reduce<readonly Trial[]>(
    (all, axis) => all.flatMap((one) => axis.map((value) => ({ ...one, ...value }))),
    [{}],
  );
  const draws = random.map((text) => drawOf(text));
  return Array.from({ length: trials }, (_, trial) =>
    combinations.map((one): Trial => {
      const drawn = draws.map(([field, draw], axis) => {
        const sequence = new PhiloxSequence(philoxKey(seed, 'sweep'), trial, axis);
        return [field, draw(sequence)] as const;
      });
      return { ...one, ...Object.fromEntries(drawn) };
    }),
  ).flat();
}

function split(text: string): readonly [field: string, values: string] {
  const at = text.indexOf('=');
  if (at <= 0)
    throw new ConfigError(
      `sweep: expected field=values, got "${text}". Write for example optimizer.learningRate=0.1,0.01.`,
    );
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Splits at commas that are in no bracket and in no quotes, and checks each value. */
function listOf(field: string, text: string): readonly string[] {
  const parts: string[] = [''];
  let depth = 0;
  let quoted = false;
  for (const letter of text.split('')) {
    if (letter === '"') quoted = !quoted;
    if (!quoted && '[{'.includes(letter)) depth++;
    if (!quoted && ']}'.includes(letter)) depth--;
    if (letter === ',' && depth === 0 && !quoted) parts.push('');
    else parts.push(`${parts.pop() ?? ''}${letter}`);
  }
  for (const part of parts) parseAssignment(`${field}=${part}`);
  return parts;
}

type Draw = (sequence: PhiloxSequence) => string;

function drawOf(text: string): readonly [field: string, draw: Draw] {
  const [field, values] = split(text);
  const range = /^(log:|int:|)(-?[\d.]+(?:e[+-]?\d+)?)\.\.(-?[\d.]+(?:e[+-]?\d+)?)$/i.exec(values);
  if (!range) {
    const list = listOf(field, values);
    return [field, (sequence) => list[sequence.below(list.length)] ?? ''];
  }
  const [kind, low, high] = [range[1] ?? '', Number(range[2]), Number(range[3])];
  const isValid =
    low < high &&
    (kind !== 'log:' || low > 0) &&
    (kind !== 'int:' || (Number.isInteger(low) && Number.isInteger(high)));
  if (!isValid) {
    throw new ConfigError(
      `--random ${field}: expected low..high with low < high (above 0 with log:, whole numbers with int:), got "${values}".`,
    );
  }
  // Both ends have the type of the field, so that every value between them has it, too.
  for (const end of [low, high]) parseAssignment(`${field}=${end}`);
  if (kind === 'int:') return [field, (sequence) => String(low + sequence.below(high - low + 1))];
  const between = (part: number): number =>
    kind === 'log:'
      ? exactMath.exp(exactMath.log(low) + part * (exactMath.log(high) - exactMath.log(low)))
      : low + part * (high - low);
  return [field, (sequence) => String(Number(between(sequence.unit()).toPrecision(4)))];
}
