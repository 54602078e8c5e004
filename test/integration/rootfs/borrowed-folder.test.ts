// A user's folder is lent to an image and comes back as it was, whatever happens meanwhile.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import { BorrowedFolder } from '../../../src/rootfs/borrowed-folder.ts';

const script = `
mkdir -p cmd/deep .git empty; echo module > go.mod; echo main > cmd/main.go; echo secret > cmd/deep/secret.env; echo ref > .git/HEAD
ln cmd/main.go cmd/linked; ln -s cmd/main.go link; mkfifo fifo; chmod 4751 cmd/main.go; chmod 0500 empty
for i in $(seq 60); do echo $i > file-$i; done
touch -d '2001-02-03 04:05:06.789' cmd/deep/secret.env cmd/deep cmd .git empty; touch -h -d '2002-02-03' link; chmod 2770 .; touch -d '2003-02-03 01:01:01.5' .
`;

class Place implements Disposable {
  readonly #top = mkdtempSync(join(tmpdir(), 'yadokari-borrow-'));
  readonly folder = join(this.#top, 'context');
  readonly copies = join(this.#top, 'copies');
  readonly warnings: string[] = [];
  readonly options = {
    copies: bytesFromText(this.copies),
    warn: (message: string): void => void this.warnings.push(message),
    signal: new AbortController().signal,
  };

  constructor() {
    mkdirSync(this.folder);
    this.shell(script);
  }

  shell(command: string): string {
    return execFileSync('sh', ['-ec', command], { cwd: this.folder, encoding: 'utf8' });
  }

  /** All that there is to a folder: inodes and content, too. */
  portrait(): string {
    return this.shell('find . -printf "%p %i %y %m %U %G %T@ %n %l\\n" | sort; find . -type f -exec md5sum {} + | sort');
  }

  borrow(staying: readonly string[] = []): Promise<BorrowedFolder> {
    return BorrowedFolder.borrow(bytesFromText(this.folder), staying.map(bytesFromText), this.options);
  }

  recover(copies = this.copies): Promise<boolean> {
    return BorrowedFolder.recover(bytesFromText(this.folder), { ...this.options, copies: bytesFromText(copies) });
  }

  write(path: string, content = 'made\n'): void {
    mkdirSync(join(this.folder, path, '..'), { recursive: true });
    writeFileSync(join(this.folder, path), content);
  }

  [Symbol.dispose](): void {
    rmSync(this.#top, { recursive: true, force: true });
  }
}

test('a folder is empty while it is lent, can be read, and comes back to the inode', async () => {
  using place = new Place();
  const before = place.portrait();
  const borrowed = await place.borrow();
  assert.equal(place.shell('ls; find . -type f -not -path "*.yadokari*" 2>/dev/null || true'), '');
  assert.equal(readFileSync(`${borrowed.place}/cmd/main.go`, 'utf8'), 'main\n');
  borrowed.beginWork(() => false);
  place.write('go.mod');
  place.write('cmd/other/of-the-image');
  place.shell('chmod 0700 .; chown 7:8 .');
  await borrowed.endWork();
  await borrowed.giveBack();
  assert.equal(place.portrait(), before);
  assert.deepEqual(readdirSync(place.copies), []);
});

test('what walks by path does not come to what is hidden', { skip: !readdirSync('/bin').includes('busybox') }, async () => {
  using place = new Place();
  const borrowed = await place.borrow();
  assert.equal(place.shell('busybox find . -type f 2> /dev/null || true'), '');
  place.shell('busybox rm -rf ./.yadokari* 2> /dev/null || true');
  await borrowed.giveBack();
  assert.deepEqual(place.warnings, []);
});

test('names that stay are not touched', async () => {
  using place = new Place();
  const before = place.portrait();
  const borrowed = await place.borrow(['cmd']);
  assert.equal(place.shell('ls'), 'cmd\n');
  borrowed.beginWork(() => false);
  place.write('other');
  await borrowed.giveBack();
  assert.equal(place.portrait(), before);
});

test('what somebody makes while nothing of the image runs stays, beside what was there', async () => {
  using place = new Place();
  const borrowed = await place.borrow();
  borrowed.beginWork(() => false);
  place.write('go.mod', 'image\n');
  place.write('cmd/main.go', 'image\n');
  await borrowed.endWork();
  await sleep(20);
  place.write('go.mod', 'edited\n');
  place.write('cmd/new.go', 'new\n');
  place.write('notes/today', 'notes\n');
  await sleep(20);
  // The image does not see it, and goes on.
  assert.equal(
    borrowed.beginWork((path) => path === 'cmd'),
    true,
  );
  assert.equal(place.shell('ls; ls cmd'), 'cmd\nmain.go\n');
  await borrowed.giveBack();
  assert.equal(place.shell('cat go.mod go.mod.yadokari-1 cmd/new.go cmd/main.go notes/today'), 'module\nedited\nnew\nmain\nnotes\n');
  assert.match(place.warnings.join('\n'), /go\.mod was made by somebody.*go\.mod\.yadokari-1/);
});

test("GNU's rm -rf reaches all of it, and all comes back", async () => {
  using place = new Place();
  const sums = (): string => place.shell('find . -printf "%p %y %m %U %G %T@ %n %l\\n" | sort; find . -type f -exec md5sum {} + | sort');
  const before = sums();
  const borrowed = await place.borrow();
  borrowed.beginWork(() => false);
  place.write('made');
  place.shell('rm -rf ./* ./.[!.]*; test -z "$(ls -A)"');
  place.write('made-later');
  await borrowed.endWork();
  assert.match(place.warnings.join('\n'), /a RUN removed or changed files of the context/);
  assert.equal(readFileSync(`${borrowed.place}/cmd/deep/secret.env`, 'utf8'), 'secret\n');
  await borrowed.giveBack();
  assert.equal(sums(), before);
});

test("GNU's chown -R reaches all of it, and owners and modes come back", async () => {
  using place = new Place();
  const before = place.portrait();
  const borrowed = await place.borrow();
  borrowed.beginWork(() => false);
  place.write('made');
  place.shell('chown -R 12:34 .; chmod -R a+rwx . 2> /dev/null || true');
  await borrowed.giveBack();
  assert.equal(place.portrait(), before);
  assert.equal(place.warnings.length, 1);
});

test('a log that grows stays long; what changed otherwise stays beside what it was', async () => {
  using place = new Place();
  const borrowed = await place.borrow();
  borrowed.beginWork(() => false);
  execFileSync('sh', ['-c', 'echo more >> file-1; echo other > file-2'], { cwd: realPlace(borrowed) });
  await borrowed.giveBack();
  assert.equal(place.shell('cat file-1 file-2 file-2.yadokari-1'), '1\nmore\nother\n2\n');
});

test('two builds never have a folder at once', async () => {
  using place = new Place();
  const borrowed = await place.borrow();
  await assert.rejects(place.borrow(), /another build works in it/);
  await assert.rejects(place.recover(), /another build works in it/);
  await borrowed.giveBack();
});

const probe = resolve(import.meta.dirname, '../../support/borrow-probe.ts');

for (const [where, copies] of [
  ['the same container', undefined],
  ['another container', '/nowhere'],
] as const) {
  test(`killed at any moment, the folder is as it was after the next start in ${where}`, { timeout: 300_000 }, async () => {
    using place = new Place();
    let before = place.portrait();
    let recovered = 0;
    let lostTimes = 0;
    for (let round = 0; round < 32; round++) {
      const child = spawn(process.execPath, [probe, place.folder, place.copies], { stdio: ['ignore', 'pipe', 'inherit'] });
      await new Promise((done) => child.stdout.once('data', done));
      await sleep(round * 7 + 3 * Math.random());
      const ended = new Promise((done) => child.once('exit', done));
      child.kill('SIGKILL');
      await ended;
      // Killed while it is put right, too.
      if (await place.recover(copies)) recovered += 1;
      if (copies !== undefined) rmSync(place.copies, { recursive: true, force: true });
      const after = place.portrait();
      // Between the last two calls the folder's own time can be lost: ARCHITECTURE.md says so.
      assert.equal(withoutTopTime(after), withoutTopTime(before), `round ${round}`);
      if (after !== before) lostTimes += 1;
      before = after;
    }
    assert.ok(recovered > 15, `${recovered} of 32`);
    assert.ok(lostTimes < 3, `the folder's time was lost ${lostTimes} times`);
    assert.deepEqual(place.warnings, []);
  });
}

test('what is made after the kill is no longer taken for the image’s', async () => {
  using place = new Place();
  const child = spawn(process.execPath, [probe, place.folder, place.copies], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((done) => child.stdout.once('data', done));
  await sleep(60);
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGKILL');
  await ended;
  await sleep(1200);
  place.write('written-afterwards', 'mine\n');
  await place.recover('/nowhere');
  assert.equal(place.shell('cat written-afterwards go.mod; ls image 2> /dev/null || true'), 'mine\nmodule\n');
});

test('a kill right after rm -rf is undone in the same container', async () => {
  using place = new Place();
  const code = `
    import { execFileSync } from 'node:child_process';
    import { writeFileSync } from 'node:fs';
    import { BorrowedFolder } from '${resolve(import.meta.dirname, '../../../src/rootfs/borrowed-folder.ts')}';
    const borrowed = await BorrowedFolder.borrow('${place.folder}', [], { copies: '${place.copies}', warn: () => {}, signal: new AbortController().signal });
    borrowed.beginWork(() => false);
    writeFileSync('${place.folder}/made', 'image');
    execFileSync('sh', ['-c', 'rm -rf ./* ./.[!.]*'], { cwd: '${place.folder}' });
    process.kill(process.pid, 'SIGKILL');
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'inherit' });
  await new Promise((done) => child.once('exit', done));
  assert.equal(await place.recover(), true);
  assert.equal(place.shell('cat go.mod cmd/deep/secret.env; test ! -e made'), 'module\nsecret\n');
  assert.equal(await place.recover(), false);
});

/** A portrait whose first line, of the folder itself, has no time. */
const withoutTopTime = (portrait: string): string => portrait.replace(/^(\. (?:\S+ ){5})\S+/, '$1-');

function realPlace({ place }: BorrowedFolder): string {
  return place.replace('/self/', `/${process.pid}/`);
}
