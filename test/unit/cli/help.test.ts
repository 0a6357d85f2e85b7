import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { createProgram } from '../../../src/cli/program.ts'

interface Known {
  readonly command: Command
  /** `topology check`. */
  readonly name: string
}

/** Every command and every group of them, but the root. */
function commandsOf(parent: Command, path: readonly string[] = []): readonly Known[] {
  return parent.commands.flatMap((command) => {
    const words = [...path, command.name()]
    return [{ command, name: words.join(' ') }, ...commandsOf(command, words)]
  })
}

const COMMANDS = commandsOf(createProgram())
const byName = new Map(COMMANDS.map(({ name, command }) => [name, command]))
const isGroup = ({ commands }: Command) => commands.length > 0

/** What a person reads first, and what it leads to. */
const PAGES = ['README.md', 'docs/OPERATIONS.md', 'docs/TOPOLOGY.md', 'docs/JOBS.md']
const text = PAGES.map((page) =>
  readFileSync(new URL(`../../../${page}`, import.meta.url), 'utf8'),
).join('\n')

/** What stands after `entrepot` where somebody is told what to type. */
const TYPED = [...text.matchAll(/(?:^|`| )(?:npx )?entrepot ([a-z][^`\n]*)/gm)]
  .map(([, words = '']) => words)
  .filter((words) => byName.has(words.split(/\s/)[0] ?? ''))

describe('cli / help', () => {
  test.each(COMMANDS)(
    '$name says what it does and what each word and flag means',
    ({ command }) => {
      expect(command.description()).toMatch(/^[a-z].*[^.]$/)
      for (const { name, description } of command.registeredArguments.map((one) => ({
        name: one.name(),
        description: one.description,
      }))) {
        expect(description, name).toMatch(/\w/)
      }
      for (const { flags, description } of command.options) {
        expect(description, flags).toMatch(/^[a-z].*[^.]$/i)
        // As commander writes those that it knows.
        expect(description, flags).not.toMatch(/\(default [^:]|^default/)
      }
    },
  )

  test.each(COMMANDS)(
    'the help of $name tells the exit codes and fits a terminal',
    ({ command }) => {
      const told: string[] = []
      command.configureOutput({
        writeOut: (part) => void told.push(part),
        getOutHelpWidth: () => 80,
      })
      command.outputHelp()
      const help = told.join('')
      expect(help).toMatch(/^Usage: entrepot /)
      expect(help).toContain('Exit code: 0 good, 1 failed or the answer is no, 2 wrong usage.')
      for (const line of help.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
    },
  )

  test('whoever asks a running node does it by the same flags and variables', () => {
    const asking = COMMANDS.filter(
      ({ command, name }) =>
        !['serve', 'topology plan'].includes(name) &&
        command.options.some(({ long }) => long === '--tls-ca'),
    )
    expect(asking.length).toBeGreaterThan(10)
    const told = asking.map(({ command }) =>
      ['--url', '--tls-ca', '--json'].map((long) => {
        const { flags, description, envVar, defaultValue } =
          command.options.find((one) => one.long === long) ?? {}
        return [flags, description, envVar, defaultValue]
      }),
    )
    for (const one of told) expect(one).toEqual(told[0])
  })

  test('whoever looks at the directory of a node takes it from the same variable', () => {
    for (const name of ['serve', 'verify', 'adopt', 'identity new', 'identity show']) {
      const option = byName.get(name)?.options.find(({ long }) => long === '--data')
      expect(option?.envVar, name).toBe('ENTREPOT_DATA')
    }
  })

  test('what a flag means is the same in every command that has it', () => {
    const words = new Map<string, string>()
    for (const { command } of COMMANDS) {
      for (const { long, flags } of command.options) {
        // Of `serve` a bound, of `jobs history` rows.
        if (long === undefined || long === null || long === '--limit') continue
        expect(flags, long).toBe(words.get(long) ?? flags)
        words.set(long, flags)
      }
    }
  })

  test('each command stands in the pages that explain them', () => {
    const missing = COMMANDS.filter(({ command }) => !isGroup(command) || command.name() === 'jobs')
      .map(({ name }) => name)
      .filter((name) => !new RegExp(`entrepot ${name}\\b|\`${name}[ \`]`).test(spelledOut(text)))
    expect(missing).toEqual([])
  })

  test('the pages name no command and no flag that there is not', () => {
    expect(TYPED.length).toBeGreaterThan(30)
    for (const typed of TYPED) {
      const [first = '', second = ''] = typed.split(/[\s|]+/)
      const group = byName.get(first)
      const command = byName.get(`${first} ${second}`) ?? group
      const flags = [command, group].flatMap((one) => one?.options.map(({ long }) => long) ?? [])
      const used = typed.replace(/\s#.*|;.*/, '').match(/--[a-z][a-z-]*/g) ?? []
      for (const flag of used) expect(flags, typed).toContain(flag)
    }
  })
})

/** `jobs pause|resume ID` as one command each. */
function spelledOut(page: string): string {
  const both = [...page.matchAll(/entrepot ([a-z]+ )?([a-z]+(?:\|[a-z]+)+)/g)].flatMap(
    ([, group = '', words = '']) => words.split('|').map((word) => `entrepot ${group}${word}`),
  )
  return [page, ...both].join('\n')
}
