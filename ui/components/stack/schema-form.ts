// Reads a connector's settings, given as JSON Schema, as a form: which kinds of system there are to choose from, and which
// fields each asks for. Pure; it understands what connectors write (objects of plain values, or a choice of such objects).

export interface SchemaField {
  name: string
  label: string
  hint: string
  kind: 'text' | 'number' | 'boolean' | 'choice'
  choices: string[]
  required: boolean
  initial: string
}

export interface Variant {
  /** The fixed values that make it this variant: { system: 'postgres' }. */
  fixed: Record<string, unknown>
  label: string
  fields: SchemaField[]
  /** Names of its secrets where the schema says them; null = as the connector says. */
  secrets: string[] | null
  /** What proves it where the schema says so; null = as the connector says. */
  support: string | null
}

type Schema = Record<string, unknown>

export function variantsOf(schema: Schema): Variant[] {
  const alternatives = [schema['oneOf'], schema['anyOf']].find(Array.isArray) as Schema[] | undefined
  return (alternatives ?? [schema]).map(variantOf)
}

function variantOf(schema: Schema): Variant {
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, Schema>)
  const required = new Set(Array.isArray(schema['required']) ? (schema['required'] as string[]) : [])
  const kind = properties.find(([, property]) => 'const' in property)?.[1]
  const fixed = Object.fromEntries(properties.flatMap(([name, property]) => ('const' in property ? [[name, property['const']]] : [])))
  return {
    fixed,
    label: textOf(schema['title']) || textOf(kind?.['description']) || Object.values(fixed).map(String).join(' ') || 'Settings',
    fields: properties.flatMap(([name, property]) => ('const' in property ? [] : [fieldOf(name, property, required.has(name))])),
    secrets: Array.isArray(schema['secrets']) ? (schema['secrets'] as string[]) : null,
    support: textOf(schema['support']) || null
  }
}

function fieldOf(name: string, property: Schema, required: boolean): SchemaField {
  const type = property['type']
  const choices = Array.isArray(property['enum']) ? property['enum'].map(String) : []
  const initial = property['default']
  return {
    name,
    label: textOf(property['title']) || textOf(property['description']) || labelOf(name),
    hint: property['title'] === undefined ? '' : textOf(property['description']),
    kind: choices.length > 0 ? 'choice' : type === 'integer' || type === 'number' ? 'number' : type === 'boolean' ? 'boolean' : 'text',
    choices,
    // A default makes a field optional to a person, though zod lists it as required in the output's schema.
    required: required && initial === undefined,
    initial: initial === undefined ? '' : typeof initial === 'string' ? initial : JSON.stringify(initial)
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** 'sslMode' -> 'Ssl mode'. */
export function labelOf(name: string): string {
  const words = name
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .replaceAll(/[_-]/g, ' ')
    .toLowerCase()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** What the form holds (all text) as the settings to send. Empty optional fields are left out. */
export function settingsOf(variant: Variant, values: Record<string, string>): Record<string, unknown> {
  const settings: Record<string, unknown> = { ...variant.fixed }
  for (const field of variant.fields) {
    const value = values[field.name] ?? field.initial
    if (field.kind === 'boolean') settings[field.name] = value === 'true'
    // Not a number: sent as it is, so that the server's own words name the field.
    else if (value !== '') settings[field.name] = field.kind === 'number' && !Number.isNaN(Number(value)) ? Number(value) : value
  }
  return settings
}
