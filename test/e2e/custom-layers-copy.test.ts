import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type * as tfjs from '@tensorflow/tfjs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { readModelFiles } from '../../src/worker/model-files/load-model.js';
import { Lockstep, lockstep, temporaryFolder, type Ended } from '../support/lockstep.js';

const layerFile = `/** Multiplies each channel by a trained weight and by a constant of its configuration. */
export function scaleLayer(tf: any) {
  class Scale extends tf.layers.Layer {
    static className = 'Scale';
    factor: number;
    weight: any;
    constructor(config: any) {
      super(config);
      this.factor = config.factor;
    }
    build(shape: number[]) {
      this.weight = this.addWeight('weight', [shape[shape.length - 1]], 'float32', tf.initializers.ones());
      this.built = true;
    }
    call(inputs: any) {
      const input = Array.isArray(inputs) ? inputs[0] : inputs;
      return tf.tidy(() => tf.mul(input, tf.mul(this.weight.read(), this.factor)));
    }
    computeOutputShape(shape: number[]) {
      return shape;
    }
    getConfig() {
      return { ...super.getConfig(), factor: this.factor };
    }
  }
  tf.serialization.registerClass(Scale);
  return (config: object) => new Scale(config);
}
`;

/** Pixel \`p\` of sample \`i\`, from 0 to 255. */
const pixelOf = (i: number, p: number): number => (i * 37 + p * 11 + (i % 3) * p * 5) % 256;

const definition = `import { defineTraining, samples } from 'lockstep';
import { scaleLayer } from '../layers/scale';
const pixelOf = ${pixelOf.toString()};
const get = (i: number) => ({
  inputs: [Array.from({ length: 64 }, (_, p) => (pixelOf(i, p) / 255 - 0.5) / 0.5)],
  targets: [i % 3],
});
export default defineTraining({
  data: samples({
    name: 'stripes', version: '1',
    inputs: [{ shape: [8, 8, 1], dtype: 'float32' }], targets: [{ shape: [], dtype: 'int32', classes: 3 }],
    train: { count: 18, get }, test: { count: 6, get: (i) => get(i + 50) },
  }),
  batchSize: 6, epochs: 4, evaluate: 'test', checkpointEvery: '1epoch', schedule: { kind: 'constant' },
  model({ tf }) {
    const scale = scaleLayer(tf);
    return tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [8, 8, 1], filters: 4, kernelSize: 3, activation: 'relu' }),
        scale({ factor: 0.5, name: 'scale' }),
        tf.layers.flatten(),
        tf.layers.dense({ units: 3 }),
      ],
    });
  },
});
`;

const of = <Name extends RunEvent['event']>({ events }: Pick<Ended, 'events'>, name: Name) =>
  events.filter((event): event is Extract<RunEvent, { event: Name }> => event.event === name);

/** The saved model in plain tfjs, in which the layer is written again. */
async function openInTfjs(run: string) {
  const tf = createRequire(import.meta.url)('@tensorflow/tfjs') as typeof tfjs;
  await tf.setBackend('cpu');
  class Scale extends tf.layers.Layer {
    static readonly className = 'Scale';
    weight!: tfjs.LayerVariable;
    override build(): void {
      this.weight = this.addWeight('weight', [4], 'float32', tf.initializers.ones());
      this.built = true;
    }
    override call(inputs: tfjs.Tensor[]): tfjs.Tensor {
      return tf.mul(inputs[0]!, tf.mul(this.weight.read(), 0.5));
    }
    override computeOutputShape(shape: tfjs.Shape): tfjs.Shape {
      return shape;
    }
  }
  tf.serialization.registerClass(Scale);
  const { artifacts } = await readModelFiles(run);
  const model = await tf.loadLayersModel({ load: () => Promise.resolve(artifacts) });
  const logits = (bytes: readonly number[]): tfjs.Tensor2D => {
    const pixels = Float32Array.from(bytes, (byte) => (byte / 255 - 0.5) / 0.5);
    return model.predict(tf.tensor4d(pixels, [bytes.length / 64, 8, 8, 1])) as tfjs.Tensor2D;
  };
  return {
    loss: (): number => {
      const samples = [50, 51, 52, 53, 54, 55];
      const bytes = samples.flatMap((i) => Array.from({ length: 64 }, (_, p) => pixelOf(i, p)));
      const labels = tf.oneHot(
        tf.tensor1d(
          samples.map((i) => i % 3),
          'int32',
        ),
        3,
      );
      return tf.losses.softmaxCrossEntropy(labels, logits(bytes)).dataSync()[0]!;
    },
    probabilities: (bytes: readonly number[]): number[] => [...tf.softmax(logits(bytes)).dataSync()],
  };
}

interface Trained {
  readonly folder: string;
  readonly run: string;
  readonly whole: Ended;
  /** The saved model in plain tfjs. */
  readonly plain: Awaited<ReturnType<typeof openInTfjs>>;
}

const train = [
  'train',
  '--config',
  'project/lockstep.config.ts',
  '--engine',
  'wasm',
  '--shards',
  '2',
  '--json',
];

/** Trains on two workers, again with a resume in one process, and takes the definition away: only the run's copy is left. */
async function trained(): Promise<Trained> {
  const folder = await temporaryFolder();
  const run = join(folder, 'runs', 'first');
  await mkdir(join(folder, 'project'));
  await mkdir(join(folder, 'layers'));
  await writeFile(join(folder, 'project', 'lockstep.config.ts'), definition);
  await writeFile(join(folder, 'layers', 'scale.ts'), layerFile);
  const whole = await lockstep([...train, '--workers', '2', '--out', run], { cwd: folder });
  expect(whole.status, whole.stderr).toBe(0);
  const half = await lockstep([...train, '--single-process', '--max-steps', '6', '--out', 'runs/half'], {
    cwd: folder,
  });
  expect(half.status, half.stderr).toBe(0);
  const resume = ['train', '--resume', 'runs/half', '--config', 'project/lockstep.config.ts', '--json'];
  const rest = await lockstep(resume, { cwd: folder });
  expect(of(rest, 'done')[0]?.weightsSha256, rest.stderr).toBe(of(whole, 'done')[0]?.weightsSha256);
  await rename(join(folder, 'project'), join(folder, 'gone'));
  await rename(join(folder, 'layers'), join(folder, 'gone-too'));
  return { folder, run, whole, plain: await openInTfjs(run) };
}

function matchesTfjs({ whole, plain }: Trained): void {
  expect(of(whole, 'eval').at(-1)!.loss).toBeCloseTo(plain.loss(), 5);
}

async function isEvaluated({ run, whole }: Trained): Promise<void> {
  const result = await lockstep(['eval', run, '--engine', 'wasm', '--json'], {
    cwd: await temporaryFolder(),
  });
  expect(result.status, result.stderr).toBe(0);
  expect(of(result, 'eval')[0]).toMatchObject({ count: 6, loss: of(whole, 'eval').at(-1)!.loss });
  expect(result.stderr).toBe('');
}

async function isClassified({ folder, run, plain }: Trained): Promise<void> {
  const picture = join(folder, 'digit.png');
  const bytes = Buffer.from(
    Array.from({ length: 64 }, (_, p) => (p % 8 > 2 && p % 8 < 5 && p > 7 && p < 56 ? 255 : 0)),
  );
  await sharp(bytes, { raw: { width: 8, height: 8, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toFile(picture);
  const cwd = await temporaryFolder();
  const predicted = await lockstep(['predict', run, picture, '--engine', 'wasm', '--json'], { cwd });
  expect(predicted.status, predicted.stderr).toBe(0);
  expect(JSON.parse(predicted.stdout)).toMatchObject({ ranked: [{}, {}, {}] });

  const demo = new Lockstep(['demo', run, '--json'], { cwd });
  const { url } = await demo.event('demo' as never, () => true);
  const body = Float32Array.from(bytes);
  const answer = await fetch(new URL('classify', String(url)), { method: 'POST', body });
  const shares = (await answer.json()) as number[];
  expect(shares).toHaveLength(3);
  plain.probabilities([...bytes]).forEach((share, label) => expect(shares[label]).toBeCloseTo(share, 5));
  demo.kill('SIGTERM');
  expect((await demo.ended).status).toBe(0);
}

async function isExported({ run }: Trained): Promise<void> {
  const cwd = await temporaryFolder();
  const exportTo = (format: string) =>
    lockstep(['export', run, '--format', format, '--engine', 'wasm'], { cwd });
  for (const format of ['tfjs', 'safetensors']) {
    const { status, stderr } = await exportTo(format);
    expect(status, stderr).toBe(0);
  }
  expect(await readFile(join(run, 'tfjs', 'model.json'), 'utf8')).toContain('"Scale"');
  for (const format of ['onnx', 'savedmodel']) {
    const { status, stderr } = await exportTo(format);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/layer "scale" \(Scale\)/);
  }
}

describe('a layer that the definition registers with tf.serialization.registerClass', () => {
  it('works in train, resume, eval, predict, demo and export, the later ones with the copy of the definition', async () => {
    const training = await trained();
    matchesTfjs(training);
    await isEvaluated(training);
    await isClassified(training);
    await isExported(training);
  });
});
