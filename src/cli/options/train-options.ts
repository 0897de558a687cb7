/** The options of `train`. `coordinator`, which pm2 or a person starts, has the same. */

import { Option, type Command } from 'commander';
import type { ConfigField } from '../../shared/config/run-config.js';
import { logLevels, type LogLevel } from '../reporters/log-level.js';
import { addConfigOptions } from './config-options.js';

export interface TrainFlags extends Partial<Record<ConfigField, unknown>> {
  readonly config?: string;
  readonly out?: string;
  readonly fresh?: boolean;
  readonly json?: boolean;
  readonly dashboard?: string | true;
  readonly tensorboard?: string | true;
  readonly otlp?: string | true;
  readonly health?: string;
  readonly logLevel?: LogLevel;
  readonly logFormat?: 'text' | 'json';
  readonly resume?: string;
  /** Values of configuration fields as JSON, passed by the function `train()`. */
  readonly values?: string;
}

/** The flags about the output of a run, with their defaults. */
export interface OutputFlags {
  readonly json: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: 'text' | 'json';
  readonly dashboard: string | true | undefined;
  readonly tensorboard: string | true | undefined;
  readonly otlp: string | true | undefined;
}

export function addTrainOptions(command: Command): Command {
  command
    .optionsGroup('Run:')
    .option(
      '--config <file>',
      'training definition (default: ./lockstep.config.ts or .js, else the MNIST recipe)',
    )
    .option(
      '--resume <dir>',
      "resume from a run's newest checkpoint; auto: from --out or the latest run with checkpoints",
    )
    .option(
      '--out <dir>',
      'folder of the run; an unfinished run in it is continued, a finished one is refused (default: runs/<time>, always new)',
    )
    .option('--fresh', 'move an earlier run in --out aside, to <dir>.1, and start a new one');
  addConfigOptions(command);
  return command
    .optionsGroup('Output:')
    .option(
      '--dashboard [address]',
      'web page with live charts, and Prometheus metrics, at a port of this machine, or HOST:PORT; beyond loopback a token is required',
    )
    .option(
      '--tensorboard [dir]',
      "folder of TensorBoard's event files (default: tensorboard/ in the folder of the run)",
    )
    .option(
      '--otlp [url]',
      'address of an OpenTelemetry collector for metrics and a trace, by OTLP over HTTP (default: OTEL_EXPORTER_OTLP_ENDPOINT, else http://localhost:4318)',
    )
    .option('--json', 'one JSON object per event on stdout')
    .addOption(
      new Option('--log-level <level>', 'lowest level of the log on stderr')
        .choices(logLevels)
        .default('info'),
    )
    .addOption(
      new Option('--log-format <format>', 'format of the log; json: one object per line, for log collectors')
        .choices(['text', 'json'])
        .default('text'),
    );
}

export const outputFlags = ({
  json = false,
  logLevel = 'info',
  logFormat = 'text',
  dashboard,
  tensorboard,
  otlp,
}: TrainFlags): OutputFlags => ({ json, logLevel, logFormat, dashboard, tensorboard, otlp });
