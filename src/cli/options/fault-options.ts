/** Hidden options of `train` and `worker` by which tests and `lockstep chaos` request faults of a run's workers. */

import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { parseBitFlip } from '../../worker/faults/bit-flip.js';
import type { FaultOptions } from '../../worker/faults/fault-options.js';

export interface FaultFlags {
  readonly faultRequests?: string;
  readonly bitFlip?: string;
}

export function addFaultOptions(command: Command): Command {
  return command
    .addOption(new Option('--fault-requests <dir>', 'folder of fault requests').hideHelp())
    .addOption(
      new Option('--bit-flip <step:shard:parameter:bit>', 'flip one bit of one gradient').hideHelp(),
    );
}

/** @throws ConfigError when the bit flip is malformed */
export function faultOptionsOf({ faultRequests, bitFlip }: FaultFlags): FaultOptions {
  return {
    requests: faultRequests === undefined ? undefined : resolve(faultRequests),
    bitFlip: bitFlip === undefined ? undefined : parseBitFlip(bitFlip),
  };
}

/** The same options for the command line of a worker process. */
export function faultArguments({ requests, bitFlip }: FaultOptions): string[] {
  const args = requests === undefined ? [] : ['--fault-requests', requests];
  if (bitFlip) {
    const { step, shard, parameter, bit } = bitFlip;
    args.push('--bit-flip', `${step}:${shard}:${parameter}:${bit}`);
  }
  return args;
}
