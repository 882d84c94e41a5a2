// The choices of an outbound sync beside its content types: which versions, which entries, what stands for a reference. Folded away,
// since what most people want is the default; a choice that the server refuses unfolds them again.
import { useState } from 'react'
import type { NewSync, Sync } from '../../../server/http/contract/stack.ts'
import { fieldErrors, SelectField, TextField } from '../field.tsx'

export interface OutboundChoice {
  source: 'draft' | 'published'
  environment: string
  branch: string
  filter: string
  embed: string
  richText: 'html' | 'text'
}

export const usualOutbound: OutboundChoice = { source: 'draft', environment: '', branch: '', filter: '', embed: '0', richText: 'html' }

/** null: the filter is no JSON object, which the form says before the server is asked. */
export function outboundBody({ source, environment, branch, filter, embed, richText }: OutboundChoice): Partial<NewSync> | null {
  const query = filter.trim() === '' ? undefined : objectIn(filter)
  if (query === null) return null
  const levels = ([1, 2, 3] as const).find(level => String(level) === embed)
  return {
    ...(source === 'published' && { source, environment: environment.trim() }),
    ...(branch.trim() !== '' && { branch: branch.trim() }),
    ...(query && { filter: query }),
    ...(levels && { references: { embed: levels } }),
    ...(richText === 'text' && { richText })
  }
}

function objectIn(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}

/** What differs from the usual, in a few words; '' = nothing does. */
export function outboundWords({ outbound, branch }: Pick<Sync, 'outbound' | 'branch'>): string {
  if (!outbound) return ''
  return [
    branch === 'main' ? '' : `branch ${branch}`,
    outbound.source === 'published' ? `published in ${outbound.environment ?? ''}` : '',
    outbound.filter ? 'filtered' : '',
    outbound.embed > 0 ? `references embedded ${outbound.embed} deep` : '',
    outbound.richText === 'text' ? 'rich text as text' : ''
  ]
    .filter(words => words !== '')
    .join(', ')
}

interface Props {
  value: OutboundChoice
  onValue: (value: OutboundChoice) => void
  /** Whether content types are named: only then can a filter speak of their fields. */
  named: boolean
  error: unknown
}

export function OutboundFields({ value, onValue, named, error }: Props) {
  const [unfolded, setUnfolded] = useState(false)
  const set = (change: Partial<OutboundChoice>): void => onValue({ ...value, ...change })
  const refused = ['environment', 'branch', 'filter'].some(name => fieldErrors(error, name))
  return (
    <details open={unfolded || refused} onToggle={event => setUnfolded(event.currentTarget.open)}>
      <summary>Versions, filter, references</summary>
      <div className="stack">
        <div className="fields">
          <SelectField
            label="Versions"
            value={value.source}
            onValue={source => set({ source: source as OutboundChoice['source'] })}
            options={[
              ['draft', 'newest, drafts included'],
              ['published', 'published in an environment']
            ]}
          />
          {value.source === 'published' ? (
            <TextField
              label="Environment"
              value={value.environment}
              onValue={environment => set({ environment })}
              required
              hint="Its name in the stack, for example production."
              errors={fieldErrors(error, 'environment')}
            />
          ) : null}
          <TextField
            label="Branch"
            value={value.branch}
            onValue={branch => set({ branch })}
            hint="Empty for main."
            errors={fieldErrors(error, 'branch')}
          />
        </div>
        <div className="fields">
          <SelectField
            label="References"
            value={value.embed}
            onValue={embed => set({ embed })}
            options={[
              ['0', 'as ids'],
              ['1', 'with what they point at'],
              ['2', 'two levels deep'],
              ['3', 'three levels deep']
            ]}
          />
          <SelectField
            label="JSON rich text"
            value={value.richText}
            onValue={richText => set({ richText: richText as OutboundChoice['richText'] })}
            options={[
              ['html', 'as HTML'],
              ['text', 'as plain text']
            ]}
          />
        </div>
        {named ? (
          <TextField
            label="Filter"
            value={value.filter}
            onValue={filter => set({ filter })}
            spellCheck={false}
            hint='Only entries that this query finds, in their newest version, for example {"category":"news"}. Empty for all.'
            errors={outboundBody(value) === null ? ['This is no JSON object.'] : fieldErrors(error, 'filter')}
          />
        ) : null}
      </div>
    </details>
  )
}
