/** Two workers against one, one thread and one core each: `npm run bench:workers -- [rounds] [steps]`. */
import { compareRuns } from './measure-run.js';

const [rounds = 3, steps = 100] = process.argv.slice(2).map(Number);
compareRuns(
  [
    { name: '1 worker, batch 64', workers: 1, batchSize: 64 },
    { name: '2 workers, batch 128 (64 each)', workers: 2, batchSize: 128 },
    { name: '2 workers, batch 64 (32 each)', workers: 2, batchSize: 64 },
    {
      name: '2 workers, batch 128, through sockets',
      workers: 2,
      batchSize: 128,
      options: ['--shared-memory', 'off'],
    },
  ],
  rounds,
  steps,
);
