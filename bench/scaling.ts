/**
 * The model's prediction alone, from parameters that `npm run bench:model` printed, on this machine or another:
 * `npm run bench:scaling -- <us a message> <ms of compute> <us of a small vector through shared memory>`.
 */
import { printScaling } from './scaling-table.js';

const [messageUs = 50, computeMs = 70, sharedVectorUs = 100] = process.argv.slice(2).map(Number);
console.log(
  `${messageUs} us a message, ${computeMs} ms of compute, ${sharedVectorUs} us a small vector through shared memory.`,
);
printScaling({ messageUs, computeMs, sharedVectorUs });
