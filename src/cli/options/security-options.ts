/** The options that say whether CURVE is used. Apart from security.ts, so that `--help` needs no ZeroMQ. */

import { Option, type Command } from 'commander';
import { defaultKeys, defaultSecurity } from './environment.js';

export interface SecurityFlags {
  /** Folder of keys. */
  readonly keys?: string;
  readonly security?: string;
}

export function addSecurityOptions(command: Command): Command {
  return command
    .option(
      '--keys <dir>',
      'CURVE keys, made by `lockstep keygen`; needed where other hosts reach the address',
      defaultKeys,
    )
    .addOption(
      new Option('--security <auto|curve>', 'curve: encrypt on loopback as well')
        .choices(['auto', 'curve'])
        .default(defaultSecurity),
    );
}
