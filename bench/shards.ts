/** What shards cost: two workers, batch 64, K = W, 2W, 4W, 8W. `npm run bench:shards -- [rounds] [steps]`. */
import { compareRuns } from './measure-run.js';

const [rounds = 3, steps = 60] = process.argv.slice(2).map(Number);
const variants = [2, 4, 8, 16].map((shards) => ({
  name: `K = ${shards} (${64 / shards} images a shard)`,
  workers: 2,
  batchSize: 64,
  options: ['--shards', String(shards)],
}));
compareRuns(variants, rounds, steps);
