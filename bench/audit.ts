/** What the ledger costs at the default settings: `npm run bench:audit -- [rounds] [steps]`. */
import { compareRuns } from './measure-run.js';

const [rounds = 7, steps = 120] = process.argv.slice(2).map(Number);
const common = { workers: 2, batchSize: 64 };
compareRuns(
  [
    { name: 'without', ...common },
    { name: '--audit', ...common, options: ['--audit'] },
  ],
  rounds,
  steps,
);
