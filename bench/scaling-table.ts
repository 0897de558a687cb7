/** Prints the predictions of the step model (step-model.ts) for hosts of 8 workers with 64 images per worker, from measured parameters. */
import { coresOf, measuredCost, messagesPerSecond } from './coordinator-model.js';
import { predict, recipe, type Training } from './step-model.js';

export interface Parameters {
  /** CPU time in microseconds to send or receive a message. */
  readonly messageUs: number;
  /** Compute time in milliseconds of a CPU worker's step. */
  readonly computeMs: number;
  /** Time in microseconds of a small all-reduce through shared memory. */
  readonly sharedVectorUs: number;
}

const links = [25, 100];
const workloads = (computeMs: number): readonly (Training & { readonly name: string })[] => [
  { ...recipe, name: 'MNIST ConvNet, CPU workers with one core each', computeMs, ownCore: false },
  { ...recipe, name: 'MNIST ConvNet, GPU workers', computeMs: 10, ownCore: true },
  {
    name: '25 million parameters without BatchNorm, buckets of 8 MB, GPU workers',
    computeMs: 200,
    ownCore: true,
    gradientBytes: 100_000_000,
    bucketBytes: 2 ** 23,
    vectors: [8],
    overlap: recipe.overlap,
  },
];
export function printScaling({ messageUs, computeMs, sharedVectorUs }: Parameters): void {
  for (const { name, ...workload } of workloads(computeMs)) {
    console.log(`\n${name}, ${workload.computeMs.toFixed(0)} ms of compute per step, 8 workers per host:\n`);
    const head = ['Gbit/s per host', 'workers', 'algorithm, small vectors', 'algorithm, gradients'];
    const numbers = [
      'float32, ms',
      'bfloat16, ms',
      'small vectors, ms',
      'messages, ms',
      'wire, ms',
      'coordinator, cores',
    ];
    console.log(`| ${[...head, ...numbers].join(' | ')} |`);
    console.log(`|${' --- |'.repeat(head.length + numbers.length)}`);
    for (const link of links) {
      for (const workers of [8, 64, 512, 4096]) {
        const cluster = { hosts: workers / 8, local: 8 };
        const net = { latencyUs: 30, messageUs, linkBytesPerUs: link * 125, localBytesPerUs: 4_000 };
        const training: Training = { ...workload, sharedVectorUs };
        const float32 = predict(cluster, training, 'float32', net);
        const bfloat16 = predict(cluster, training, 'bfloat16', net);
        const steps = [float32, bfloat16].map(
          ({ stepMs: ms, efficiency }) => `${ms.toFixed(1)} (${(100 * efficiency).toFixed(0)} %)`,
        );
        const parts = [float32.vectorMs, float32.messagesMs, float32.wireMs].map((ms) => ms.toFixed(1));
        const traffic = { workers, heartbeatMs: 250, stepsPerSecond: 1_000 / float32.stepMs };
        const coordinator = coresOf(messagesPerSecond(traffic), measuredCost).toFixed(2);
        const algorithms = [float32.vectors.join(', '), float32.gradients];
        console.log(`| ${[link, workers, ...algorithms, ...steps, ...parts, coordinator].join(' | ')} |`);
      }
    }
  }
}
