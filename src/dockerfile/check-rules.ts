// The rules of `docker build --check`, by the names, descriptions and pages it gives them.

interface Rule {
  readonly description: string;
  /** Runs only when asked for. */
  readonly isExperimental?: boolean;
}

/** Every rule by name. */
export const rules = {
  ConsistentInstructionCasing: {
    description: 'All commands within the Dockerfile should use the same casing (either upper or lower)',
  },
  CopyIgnoredFile: { description: 'Attempting to Copy file that is excluded by .dockerignore' },
  DuplicateStageName: { description: 'Stage names should be unique' },
  ExposeInvalidFormat: {
    description: 'IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release',
  },
  ExposeProtoCasing: { description: 'Protocol in EXPOSE instruction should be lowercase' },
  FromAsCasing: { description: "The 'as' keyword should match the case of the 'from' keyword" },
  FromPlatformFlagConstDisallowed: { description: 'FROM --platform flag should not use a constant value' },
  InvalidBaseImagePlatform: { description: 'Base image platform does not match expected target platform' },
  InvalidDefaultArgInFrom: { description: 'Default value for global ARG results in an empty or invalid base image name' },
  InvalidDefinitionDescription: {
    description:
      'Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.',
    isExperimental: true,
  },
  JSONArgsRecommended: {
    description: 'JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals',
  },
  LegacyKeyValueFormat: { description: 'Legacy key/value format with whitespace separator should not be used' },
  MaintainerDeprecated: { description: 'The MAINTAINER instruction is deprecated, use a label instead to define an image author' },
  MultipleInstructionsDisallowed: { description: 'Multiple instructions of the same type should not be used in the same stage' },
  NoEmptyContinuation: { description: 'Empty continuation lines will become errors in a future release' },
  RedundantTargetPlatform: {
    description: 'Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior',
  },
  ReservedStageName: { description: 'Reserved words should not be used as stage names' },
  SecretsUsedInArgOrEnv: { description: 'Sensitive data should not be used in the ARG or ENV commands' },
  StageNameCasing: { description: 'Stage names should be lowercase' },
  UndefinedArgInFrom: { description: 'FROM command must use declared ARGs' },
  UndefinedVar: { description: 'Variables should be defined before their use' },
  WorkdirRelativePath: {
    description:
      'Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes',
  },
} as const satisfies Readonly<Record<string, Rule>>;

export type RuleName = keyof typeof rules;

/** The rule's own data, with the optional fields readable. */
export function ruleOf(name: RuleName): Rule {
  return rules[name];
}

/** The page that explains a rule. */
export function ruleUrl(name: RuleName): string {
  const page = name.replaceAll(/(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, '-').toLowerCase();
  return `https://docs.docker.com/go/dockerfile/rule/${page}/`;
}
