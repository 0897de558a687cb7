/** A line on stderr outside of a run's events, in the format and at the level of the run's log. */

import { isLogged, type LogLevel } from './log-level.js';
import { StructuredLog } from './structured-log.js';

export interface NoticeFormat {
  readonly logLevel?: LogLevel;
  readonly logFormat?: 'text' | 'json';
}

export function printNotice(
  line: string,
  level: 'info' | 'warn',
  { logLevel = 'info', logFormat = 'text' }: NoticeFormat,
): void {
  if (!isLogged(level, logLevel)) return;
  if (logFormat === 'text') {
    process.stderr.write(level === 'warn' ? `Warning: ${line}\n` : `${line}\n`);
    return;
  }
  const log = new StructuredLog(logLevel, process.stderr);
  log.printLine(line);
  log.close();
}
