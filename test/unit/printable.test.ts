import { randomUUID } from 'node:crypto';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { TerminalReporter } from '../../src/cli/reporters/terminal-reporter.js';
import { decodeWorkerMessage } from '../../src/shared/protocol/codec.js';
import { protocolVersion } from '../../src/shared/protocol/messages.js';

const packr = new Packr({ useRecords: false, moreTypes: false });
const join = {
  type: 'join',
  protocol: protocolVersion,
  workerId: randomUUID(),
  pid: 1,
  host: 'box',
  workerSlot: '0',
};
const decode = (message: object) => decodeWorkerMessage(packr.pack(message), 'connection 1', 1_000_000);

/** Clears the screen, sets the title of the window, and begins a line like one of the log's. */
const hostile = '\u001b[2J\u001b]0;title\u0007box\r\nDone: 1 step\u009b31m\u202egnp';

describe('text of a peer', () => {
  it('contains no control characters once a message is decoded', () => {
    const message = decode({ ...join, host: hostile });
    if (message.type !== 'join') throw new Error('another message');
    expect(message.host).toBe('\ufffd[2J\ufffd]0;title\ufffdbox\ufffd\ufffdDone: 1 step\ufffd31m\ufffdgnp');
    const failed = decode({
      type: 'failed',
      error: { code: 'DATA', message: `first\nsecond\t\n  third${hostile}` },
    });
    if (failed.type !== 'failed') throw new Error('another message');
    // Its lines remain, and are indented, so that none looks like a line of the log.
    expect(failed.error.message.split('\n')).toEqual([
      'first',
      '  second\t',
      '  third\ufffd[2J\ufffd]0;title\ufffdbox',
      '  Done: 1 step\ufffd31m\ufffdgnp',
    ]);
  });

  it('is short in the refusal of a message, whatever the peer has sent', () => {
    for (const message of [
      { ...join, [`${hostile}${'x'.repeat(60_000)}`]: 1 },
      { ...join, type: `${hostile}${'y'.repeat(60_000)}` },
      { ...join, host: 'z'.repeat(60_000) },
    ]) {
      let text = '';
      try {
        decode(message);
      } catch (error) {
        text = (error as Error).message;
      }
      expect(text).toMatch(/^Message from connection 1 refused: field/);
      expect(text.length).toBeLessThan(600);
      expect(text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    }
  });

  it('is printed by the terminal without control characters, also if it came another way', () => {
    let printed = '';
    const stream = { write: (text: string) => ((printed += text), true) };
    const reporter = new TerminalReporter({ stream: stream as never, level: 'info', dumb: true });
    reporter.emit({ event: 'warning', message: `Worker on ${hostile}`, timeMs: 0 });
    expect(printed.split('\n')).toHaveLength(3);
    expect(printed).toMatch(/\n {2}Done/);
    expect(printed).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });
});
