/** The options for CURVE encryption. They are apart from security/security.ts so that `--help` does not load ZeroMQ. */

import { Option, type Command } from 'commander';
import { defaultKeys, defaultSecurity } from '../environment/environment.js';

export interface SecurityFlags {
  /** Folder of keys. */
  readonly keys?: string;
  readonly security?: string;
}

export function addSecurityOptions(command: Command): Command {
  return command
    .option(
      '--keys <dir>',
      'folder of CURVE keys, made by `lockstep keygen`; required if other hosts can reach the address',
      defaultKeys,
    )
    .addOption(
      new Option('--security <auto|curve>', 'encryption; curve: on loopback as well')
        .choices(['auto', 'curve'])
        .default(defaultSecurity),
    );
}
