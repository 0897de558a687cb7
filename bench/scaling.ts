/**
 * Prints the predictions of the step model for parameters that `npm run bench:model` printed on this or another machine:
 * `npm run bench:scaling -- <us per message> <ms of compute> <us per small all-reduce through shared memory>`.
 */
import { printScaling } from './scaling-table.js';

const [messageUs = 50, computeMs = 70, sharedVectorUs = 100] = process.argv.slice(2).map(Number);
console.log(
  `${messageUs} us per message, ${computeMs} ms of compute, ${sharedVectorUs} us per small all-reduce through shared memory.`,
);
printScaling({ messageUs, computeMs, sharedVectorUs });
