import { chmodSync, chownSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { changeableByOthers, enterableByOthers } from '../../src/shared/files/ownership.js';
import { temporaryFolder } from '../support/lockstep.js';
import { noOtherUser, otherUid } from '../support/other-user.js';

const noIds = process.getuid === undefined;

describe.skipIf(noIds)('a file counts as changeable by others', () => {
  let folder = '';
  let file = '';
  beforeEach(async () => {
    folder = join(await temporaryFolder(), 'folder');
    mkdirSync(folder, { mode: 0o755 });
    file = join(folder, 'file');
    writeFileSync(file, '');
    chmodSync(file, 0o644);
  });

  it('if its mode lets everyone write, or a group with other members', () => {
    expect(changeableByOthers(file)).toBeUndefined();
    chmodSync(file, 0o646);
    expect(changeableByOthers(file)).toMatch(/everyone can write to .*file \(mode 646\)/);
  });

  it('if one of its folders can be written, unless that is a sticky one like /tmp', () => {
    chmodSync(folder, 0o777);
    expect(changeableByOthers(file)).toMatch(/everyone can write to .*folder \(mode 777\)/);
    chmodSync(folder, 0o1777);
    expect(changeableByOthers(file)).toBeUndefined();
  });

  it('if a symbolic link on its path leads through such a folder', async () => {
    const open = join(await temporaryFolder(), 'open');
    mkdirSync(open);
    const hidden = join(open, 'file');
    renameSync(file, hidden);
    symlinkSync(hidden, file);
    expect(changeableByOthers(file)).toBeUndefined();
    chmodSync(open, 0o777);
    expect(changeableByOthers(file)).toMatch(/everyone can write to .*open/);
    symlinkSync('loop', join(folder, 'loop'));
    expect(changeableByOthers(join(folder, 'loop'))).toMatch(/more than 40 symbolic links/);
  });

  it.skipIf(noOtherUser)('if it, its folder or its group belongs to another user (needs root)', () => {
    chownSync(file, otherUid, 0);
    expect(changeableByOthers(file)).toMatch(/file belongs to user 54321/);
    chownSync(file, 0, otherUid);
    expect(changeableByOthers(file)).toBeUndefined();
    chmodSync(file, 0o664);
    expect(changeableByOthers(file)).toMatch(/group 54321 can write to .*file \(mode 664\)/);
    chownSync(file, 0, 0);
    chownSync(folder, otherUid, 0);
    expect(changeableByOthers(file)).toMatch(/folder belongs to user 54321/);
  });
});

describe.skipIf(noIds)('a folder counts as enterable by others', () => {
  it('unless only its owner, this user, has access to it', async () => {
    const parent = await temporaryFolder();
    const folder = join(parent, 'private');
    mkdirSync(folder, { mode: 0o700 });
    expect(enterableByOthers(folder)).toBeUndefined();
    for (const mode of [0o710, 0o701, 0o755, 0o777]) {
      chmodSync(folder, mode);
      expect(enterableByOthers(folder)).toMatch(/others have access to .*private/);
    }
    symlinkSync(folder, join(parent, 'link'));
    expect(enterableByOthers(join(parent, 'link'))).toMatch(/is not a folder/);
    chmodSync(folder, 0o700);
    chmodSync(parent, 0o777);
    expect(enterableByOthers(folder)).toMatch(/everyone can write to/);
    chmodSync(parent, 0o1777);
    expect(enterableByOthers(folder)).toBeUndefined();
  });
});
