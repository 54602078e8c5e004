// Which repositories have signatures beside their images, by `use-sigstore-attachments` in registries.d. containers-registries.d(5)
//
// skopeo looks for signatures only where this is true. Here they are looked for where a policy asks for one, and written where a flag
// does; so only a false changes anything.
import { BuilderError } from '../errors.ts';
import type { Reference } from '../oci/reference.ts';
import { readPlacedYaml } from '../yaml.ts';
import { scopesOfReference } from './scopes.ts';

export interface AttachmentRules {
  /** The file that says that there are none; undefined where none does. */
  readonly switchedOffBy: (reference: Reference) => string | undefined;
}

export const noAttachmentRules: AttachmentRules = { switchedOffBy: () => undefined };

/** @throws ERR_USAGE for a file that is no such YAML, or two that say something of the same scope */
export function readAttachmentRules(files: readonly { readonly path: string; readonly text: string }[]): AttachmentRules {
  // '' is the default.
  const rules = new Map<string, { readonly isOn: boolean; readonly path: string }>();
  for (const { path, text } of files) {
    // Most have only examples, and to read YAML takes time.
    if (!/^[^#]*use-sigstore-attachments/m.test(text)) continue;
    const fail = (why: string): BuilderError => new BuilderError('ERR_USAGE', `Cannot use ${path}: ${why}`);
    const root = readPlacedYaml(text, fail);
    if (root.kind !== 'map') throw fail('it is no mapping');
    const docker = root.members.get('docker');
    if (docker !== undefined && docker.kind !== 'map') throw fail('docker is no mapping');
    for (const [scope, section] of [['', root.members.get('default-docker')] as const, ...(docker?.members ?? [])]) {
      const isOn = section?.kind === 'map' ? section.members.get('use-sigstore-attachments') : undefined;
      if (isOn === undefined) continue;
      const name = scope === '' ? 'default-docker' : scope;
      if (isOn.kind !== 'text' || isOn.type !== 'boolean') throw fail(`use-sigstore-attachments of ${name} is neither true nor false`);
      const other = rules.get(scope)?.path;
      if (other !== undefined) throw fail(`${name} is in ${other}, too`);
      rules.set(scope, { isOn: isOn.text.toLowerCase() === 'true', path });
    }
  }
  return {
    switchedOffBy: (reference) => {
      const scope = [...scopesOfReference(reference), ''].find((each) => rules.has(each));
      const rule = scope === undefined ? undefined : rules.get(scope);
      return rule?.isOn === false ? rule.path : undefined;
    },
  };
}
