// Borrows a folder and gives it back, again and again, until it is killed: `node borrow-probe.ts FOLDER COPIES`.
import { mkdirSync, writeFileSync } from 'node:fs';
import { bytesFromText } from '../../src/bytes.ts';
import { BorrowedFolder } from '../../src/rootfs/borrowed-folder.ts';

const [, , folder = '', copies = ''] = process.argv;
const options = { copies: bytesFromText(copies), warn: (): void => undefined, signal: new AbortController().signal };
process.stdout.write('begun\n');
for (;;) {
  const borrowed = await BorrowedFolder.borrow(bytesFromText(folder), [], options);
  borrowed.beginWork(() => false);
  mkdirSync(`${folder}/image/deep`, { recursive: true });
  for (let number = 0; number < 50; number++) writeFileSync(`${folder}/image/deep/${number}`, 'image');
  for (let number = 0; number < 50; number++) writeFileSync(`${folder}/file-${number}`, 'image');
  await borrowed.endWork();
  await borrowed.giveBack();
}
