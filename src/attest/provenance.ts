// How an image came to be, as SLSA's provenance, with the members that BuildKit gives it: slsa.dev/spec/v0.2/provenance,
// slsa.dev/spec/v1.1/provenance, and docs/attestations/slsa-definitions.md of moby/buildkit.
import { given } from '../given.ts';
import { type Json, type JsonObject, jsonObject } from '../oci/json.ts';
import type { Material } from './materials.ts';
import type { Statement } from './statement.ts';

/** What is wanted of it. */
export interface ProvenanceRequest {
  /** `max` also tells build arguments, labels, names of secrets, and the Dockerfile. */
  readonly mode: 'min' | 'max';
  /** Who builds: a program, and its version. */
  readonly builder: readonly [program: string, version: string];
  readonly version: 'v0.2' | 'v1';
  /** A URL that says who built; empty where nobody knows. */
  readonly builderId: string;
  /** The user's word that the same build gives the same bytes. */
  readonly isReproducible: boolean;
  /** Where the sources are from, by the word of who started the build. */
  readonly vcs: { readonly source?: string; readonly revision?: string };
}

/** What is known of one build. */
export interface ProvenanceFacts {
  /** Of the machine that builds. */
  readonly builderPlatform: string;
  /** Absent where the same build shall give the same bytes. */
  readonly run?: { readonly id: string; readonly startedMs: number; readonly finishedMs: number };
  readonly dockerfile: { readonly path: string; readonly text: string };
  /** Where the Dockerfile came from; undefined for a folder of this machine. */
  readonly source?: Material | undefined;
  /** As BuildKit's frontend gets them: `build-arg:NAME`, `label:NAME`, `target`. */
  readonly args: ReadonlyMap<string, string>;
  readonly secrets: readonly string[];
  readonly ssh: readonly string[];
  readonly materials: readonly Material[];
  /** Contexts with names were given, and not all of them may be from elsewhere. */
  readonly hasNamedFolders: boolean;
  /** No command ran that could have asked the network. */
  readonly isHermetic: boolean;
}

const slsa = {
  'v0.2': { predicate: 'https://slsa.dev/provenance/v0.2', build: 'https://mobyproject.org/buildkit@v1' },
  // Says how the document is to be read, which is BuildKit's way; who built is in `builder`.
  v1: {
    predicate: 'https://slsa.dev/provenance/v1',
    build: 'https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md',
  },
} as const;

/** The statement's predicate. Of equal facts, equal bytes. */
export function provenance(facts: ProvenanceFacts, wanted: ProvenanceRequest): Statement {
  const { predicate, build } = slsa[wanted.version];
  const make = wanted.version === 'v1' ? predicateV1 : predicateV02;
  return { predicateType: predicate, predicate: make(facts, wanted, build) };
}

function predicateV1(facts: ProvenanceFacts, wanted: ProvenanceRequest, buildType: string): JsonObject {
  const [program, version] = wanted.builder;
  const { run, isHermetic } = facts;
  return jsonObject({
    buildDefinition: jsonObject({
      buildType,
      externalParameters: jsonObject({
        configSource: jsonObject({ ...placeOf(facts.source), path: facts.dockerfile.path }),
        request: parametersOf(facts, wanted),
      }),
      internalParameters: jsonObject({ builderPlatform: facts.builderPlatform }),
      resolvedDependencies: facts.materials.map(materialObject),
    }),
    runDetails: jsonObject({
      builder: jsonObject({ id: wanted.builderId, version: new Map([[program, version]]) }),
      metadata: jsonObject({
        ...(run === undefined ? {} : { invocationId: run.id, startedOn: timeOf(run.startedMs), finishedOn: timeOf(run.finishedMs) }),
        buildkit_hermetic: isHermetic,
        buildkit_reproducible: wanted.isReproducible,
        buildkit_completeness: jsonObject({ request: isWhole(facts, wanted), resolvedDependencies: isKnown(facts) }),
        buildkit_metadata: metadataOf(facts, wanted),
      }),
    }),
  });
}

function predicateV02(facts: ProvenanceFacts, wanted: ProvenanceRequest, buildType: string): JsonObject {
  const { run, isHermetic } = facts;
  return jsonObject({
    builder: jsonObject({ id: wanted.builderId }),
    buildType,
    materials: facts.materials.map(materialObject),
    invocation: jsonObject({
      configSource: jsonObject({ ...placeOf(facts.source), entryPoint: facts.dockerfile.path }),
      parameters: parametersOf(facts, wanted),
      environment: jsonObject({ platform: facts.builderPlatform }),
    }),
    metadata: jsonObject({
      ...(run === undefined
        ? {}
        : { buildInvocationID: run.id, buildStartedOn: timeOf(run.startedMs), buildFinishedOn: timeOf(run.finishedMs) }),
      completeness: jsonObject({ parameters: isWhole(facts, wanted), environment: true, materials: isKnown(facts) }),
      reproducible: wanted.isReproducible,
      'https://mobyproject.org/buildkit@v1#hermetic': isHermetic,
      'https://mobyproject.org/buildkit@v1#metadata': metadataOf(facts, wanted),
    }),
  });
}

function parametersOf({ args, secrets, ssh, source }: ProvenanceFacts, { mode }: ProvenanceRequest): JsonObject {
  const isShown = ([name]: readonly [string, string]): boolean => mode === 'max' || !isPrivate(name);
  const byId = (ids: readonly string[]): Json => ids.toSorted().map((id) => jsonObject({ id }));
  return jsonObject({
    frontend: 'dockerfile.v0',
    args: new Map([...args].filter(isShown).toSorted(([a], [b]) => (a < b ? -1 : 1))),
    ...(mode === 'max' ? { secrets: byId(secrets), ssh: byId(ssh) } : {}),
    locals: source === undefined ? ['context', 'dockerfile'].map((name) => jsonObject({ name })) : [],
  });
}

/** People put tokens there. */
function isPrivate(name: string): boolean {
  return name.startsWith('build-arg:') || name.startsWith('label:');
}

function isWhole({ args, secrets, ssh }: ProvenanceFacts, { mode }: ProvenanceRequest): boolean {
  return mode === 'max' || (![...args.keys()].some(isPrivate) && secrets.length === 0 && ssh.length === 0);
}

/** All that went in is among the materials. */
function isKnown({ source, hasNamedFolders, isHermetic }: ProvenanceFacts): boolean {
  return source !== undefined && !hasNamedFolders && isHermetic;
}

function metadataOf({ dockerfile }: ProvenanceFacts, { mode, vcs }: ProvenanceRequest): JsonObject | undefined {
  const data = Buffer.from(dockerfile.text, 'utf8').toString('base64');
  const infos = [jsonObject({ filename: dockerfile.path, language: 'Dockerfile', data })];
  const members = given({
    vcs: vcs.source === undefined && vcs.revision === undefined ? undefined : jsonObject({ source: vcs.source, revision: vcs.revision }),
    source: mode === 'max' ? jsonObject({ infos }) : undefined,
  });
  return Object.keys(members).length === 0 ? undefined : jsonObject(members);
}

function placeOf(source: Material | undefined): Readonly<Record<string, Json>> {
  return source === undefined ? {} : { uri: source.uri, digest: digestObject(source) };
}

function materialObject(material: Material): JsonObject {
  return jsonObject({ uri: material.uri, digest: digestObject(material) });
}

function digestObject({ algorithm, hex }: Material): JsonObject {
  return new Map([[algorithm, hex]]);
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
