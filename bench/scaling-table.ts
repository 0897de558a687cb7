/** What the model of a step (step-model.ts) predicts for hosts of 8 workers with 64 images each, from measured parameters. */
import { predict, recipe, type Training } from './step-model.js';

export interface Parameters {
  /** Microseconds of CPU for a message sent or received. */
  readonly messageUs: number;
  /** Milliseconds of compute of a CPU worker's step. */
  readonly computeMs: number;
  /** Microseconds of a small vector through shared memory. */
  readonly sharedVectorUs: number;
}

const links = [25, 100];
const kinds = (computeMs: number): readonly (Training & { readonly name: string })[] => [
  { ...recipe, name: 'The recipe, CPU workers of one core', computeMs, ownCore: false },
  { ...recipe, name: 'The recipe, GPU workers', computeMs: 10, ownCore: true },
  {
    ...{
      name: '25 million parameters without BatchNorm, buckets of 8 MB, GPU workers',
      computeMs: 200,
      ownCore: true,
    },
    ...{ gradientBytes: 100_000_000, bucketBytes: 2 ** 23, vectors: [8], overlap: recipe.overlap },
  },
];
export function printScaling({ messageUs, computeMs, sharedVectorUs }: Parameters): void {
  for (const { name, ...kind } of kinds(computeMs)) {
    console.log(`\n${name}, ${kind.computeMs.toFixed(0)} ms of compute a step, 8 on a host:\n`);
    const head = ['Gbit/s a host', 'workers', 'small vectors go', 'gradients go'];
    const numbers = ['float32, ms', 'bfloat16, ms', 'small vectors, ms', 'messages, ms', 'wire, ms'];
    console.log(`| ${[...head, ...numbers].join(' | ')} |`);
    console.log(`|${' --- |'.repeat(head.length + numbers.length)}`);
    for (const link of links) {
      for (const workers of [8, 64, 512, 4096]) {
        const cluster = { hosts: workers / 8, local: 8 };
        const net = { latencyUs: 30, messageUs, linkBytesPerUs: link * 125, localBytesPerUs: 4_000 };
        const training: Training = { ...kind, sharedVectorUs };
        const float32 = predict(cluster, training, 'float32', net);
        const bfloat16 = predict(cluster, training, 'bfloat16', net);
        const shown = [float32, bfloat16].map(
          ({ stepMs: ms, efficiency }) => `${ms.toFixed(1)} (${(100 * efficiency).toFixed(0)} %)`,
        );
        const parts = [float32.vectorMs, float32.messagesMs, float32.wireMs].map((ms) => ms.toFixed(1));
        const ways = [float32.vectors.join(', '), float32.gradients];
        console.log(`| ${[link, workers, ...ways, ...shown, ...parts].join(' | ')} |`);
      }
    }
  }
}
