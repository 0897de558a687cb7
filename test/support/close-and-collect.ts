/** A program: opens both planes, closes them while messages wait for peers that never come, collects the garbage, and should end. */
import { openControlClient } from '../../src/shared/transport/zmq/control-client.js';
import { openDataPlane } from '../../src/shared/transport/zmq/data-plane.js';
import { asRank } from '../../src/shared/sharding/identifiers.js';
import { freePort } from './free-port.js';

const unheard = {
  message: () => undefined,
  frame: () => undefined,
  disconnected: () => undefined,
  refused: () => undefined,
};

async function openAndClose(): Promise<void> {
  const nobody = `tcp://127.0.0.1:${await freePort()}`;
  const control = openControlClient(nobody, 1_000);
  control.connect(unheard);
  control.send(Buffer.from('to nobody'));
  const data = await openDataPlane({ socketDirectory: null, host: '127.0.0.1', maxFrameBytes: 1_000 });
  data.connect([{ rank: asRank(1), endpoint: nobody, publicKey: undefined }], unheard);
  data.send(asRank(1), [Buffer.from('to nobody')]);
  await Promise.all([control.close(), data.close()]);
}

await openAndClose();
const { gc } = globalThis as { gc?: () => void };
for (let i = 0; i < 5; i++) gc?.();
process.stdout.write(gc ? 'closed, collected\n' : 'closed\n');
