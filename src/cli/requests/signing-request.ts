// The flags that say by which key images are signed → SigningRequest.
import { resolve } from 'node:path';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import { parseReference } from '../../oci/reference.ts';
import type { AttachmentRules } from '../../trust/attachment-rules.ts';
import { type KeySource, type Signer, type SigningRequest, openSigner } from '../../trust/signer.ts';
import type { Environment, Settings } from '../settings.ts';

const keyFlag = 'sign-by-sigstore-private-key';

/** What cosign reads the passphrase from. */
export const passphraseVariable = 'COSIGN_PASSWORD';

/** Undefined where nothing is to be signed. @throws ERR_USAGE for flags that lack each other */
export function makeSigningRequest(settings: Settings, env: Environment, workingDirectory: string): SigningRequest | undefined {
  const place = settings.text(keyFlag);
  const [file, identity] = [settings.text('sign-passphrase-file'), settings.text('sign-identity')];
  if (place === undefined) {
    const stray = file === undefined ? (identity === undefined ? undefined : 'sign-identity') : 'sign-passphrase-file';
    if (stray === undefined) return undefined;
    throw new BuilderError('ERR_USAGE', `Cannot use --${stray}: nothing is signed without --${keyFlag}`);
  }
  const name = keyVariable(place);
  const value = name === undefined ? undefined : env[name];
  if (name !== undefined && !value) throw new BuilderError('ERR_USAGE', `Cannot use --${keyFlag}: the environment has no ${name}`);
  return {
    key: name === undefined ? { kind: 'file', path: resolve(workingDirectory, place) } : { kind: 'value', name, value: value ?? '' },
    passphrase: passphraseSource(file, env, workingDirectory),
    ...given({ identity: identity === undefined ? undefined : identityOf(identity) }),
  };
}

/** The variable of `env://NAME`, as cosign has it; undefined for a file. */
export function keyVariable(place: string): string | undefined {
  return /^env:\/\/(.+)$/.exec(place)?.[1];
}

/** The file that a flag names, else cosign's variable. @throws ERR_USAGE where there is neither */
export function passphraseSource(file: string | undefined, env: Environment, workingDirectory: string): KeySource {
  if (file !== undefined) return { kind: 'file', path: resolve(workingDirectory, file) };
  const value = env[passphraseVariable];
  if (value !== undefined) return { kind: 'value', name: passphraseVariable, value };
  throw new BuilderError('ERR_USAGE', `Cannot use a key without its passphrase: neither a flag nor ${passphraseVariable} has it`, {
    hint: `--sign-passphrase-file FILE; where there is none, ${passphraseVariable}= in the environment says so`,
  });
}

/** For commands that copy. @throws ERR_USAGE for a key that can't be read */
export function signerOf(settings: Settings, env: Environment, rules: AttachmentRules): Signer | undefined {
  const request = makeSigningRequest(settings, env, process.cwd());
  return request === undefined ? undefined : openSigner(request, rules);
}

function identityOf(text: string): SigningRequest['identity'] {
  const reference = parseReference(text);
  if ((reference.tag ?? reference.digest) !== undefined) return reference;
  throw new BuilderError('ERR_USAGE', `Cannot use --sign-identity ${text}: it is a whole name, with a tag`);
}
