// `yadokari generate-sigstore-key --output-prefix PREFIX`: a pair of keys, as skopeo makes one.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { BuilderError, inWords, orElse } from '../../errors.ts';
import { generateKeyPair } from '../../trust/key-file.ts';
import { readPassphrase } from '../../trust/signer.ts';
import type { CommandInput } from '../command.ts';
import { passphraseSource } from '../requests/signing-request.ts';

/** Writes PREFIX.private, for its owner's eyes only, and PREFIX.pub; both or none. @throws ERR_USAGE where one of them is there */
export function runGenerateKeyCommand({ settings, env, stdout }: CommandInput): void {
  const prefix = settings.text('output-prefix');
  if (prefix === undefined || prefix === '')
    throw new BuilderError('ERR_USAGE', 'Cannot make a key: --output-prefix PREFIX says where it goes');
  const passphrase = readPassphrase(passphraseSource(settings.text('passphrase-file'), env, process.cwd()));
  const { privateKey, publicKey } = generateKeyPair(passphrase);
  const [keyFile, publicFile] = [`${prefix}.private`, `${prefix}.pub`];
  const there = [keyFile, publicFile].find((path) => existsSync(path));
  if (there !== undefined) throw new BuilderError('ERR_USAGE', `Cannot write ${there}: it is there already, and a lost key is lost`);
  writeNew(keyFile, privateKey, 0o600);
  orElse(
    () => writeNew(publicFile, publicKey, 0o644),
    (error) => {
      rmSync(keyFile);
      throw error;
    },
  );
  stdout.write(`Key written to ${JSON.stringify(keyFile)} and ${JSON.stringify(publicFile)}\n`);
}

function writeNew(path: string, text: string, mode: number): void {
  orElse(() => writeFileSync(path, text, { flag: 'wx', mode }), inWords('ERR_USAGE', `Cannot write ${path}`));
}
