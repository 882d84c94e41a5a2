// Choosing other things for a field: entries for a reference, assets for a file. What may be chosen is read when the list is
// first opened, so that an entry with many such fields costs no requests to look at.
import { useState } from 'react'
import { useSession } from '../cms-context.ts'
import type { StackScope } from '../stack/shell.tsx'
import type { EntryData, SchemaField } from './draft.ts'

interface PickerProps {
  id: string
  disabled: boolean
  field: SchemaField
  value: unknown
  scope: StackScope
  set: (next: unknown) => void
}

interface Choice {
  key: string
  label: string
  /** As the CMA takes it in. */
  value: unknown
}

const listed = 100

export function ReferencePicker({ field, value, scope: { stack, branch }, ...rest }: PickerProps) {
  const { client } = useSession()
  const targets = [field.reference_to ?? []].flat()
  const references = list(value) as { uid: string; _content_type_uid?: string; title?: string }[]
  const several = field.multiple === true || field.field_metadata?.['ref_multiple'] === true
  async function load(): Promise<Choice[]> {
    const pages = await Promise.all(
      targets.map(async type => {
        const path = `/content_types/${type}/entries`
        const { entries } = await client.cma<{ entries: EntryData[] }>('GET', path, stack.api_key, {
          branch,
          params: { limit: listed, 'only[BASE][]': ['title'] }
        })
        return entries.map(entry => ({
          key: entry.uid ?? '',
          label: `${entry.title ?? entry.uid} (${type})`,
          value: { uid: entry.uid, _content_type_uid: type }
        }))
      })
    )
    return pages.flat()
  }
  const chosen = references.map(reference => ({
    key: reference.uid,
    label: reference.title ?? `${reference._content_type_uid ?? 'entry'} ${reference.uid}`,
    value: reference
  }))
  // A reference is a list on the wire even where only one may stand.
  return <Picker {...rest} chosen={chosen} several={several} load={load} put={next => rest.set(next)} add="Add an entry" />
}

export function FilePicker({ field, value, scope: { stack, branch }, ...rest }: PickerProps) {
  const { client } = useSession()
  const several = field.multiple === true
  async function load(): Promise<Choice[]> {
    const { assets } = await client.cma<{ assets: { uid: string; title: string; filename: string; is_dir?: boolean }[] }>(
      'GET',
      '/assets',
      stack.api_key,
      {
        branch,
        params: { limit: listed }
      }
    )
    return assets.filter(asset => !asset.is_dir).map(asset => ({ key: asset.uid, label: asset.title || asset.filename, value: asset }))
  }
  const chosen = list(value).map(asset => {
    const { uid, title, filename } =
      typeof asset === 'string' ? { uid: asset, title: asset, filename: asset } : (asset as Record<'uid' | 'title' | 'filename', string>)
    return { key: uid, label: title || filename, value: asset }
  })
  return (
    <Picker
      {...rest}
      chosen={chosen}
      several={several}
      load={load}
      put={next => rest.set(several ? next : (next[0] ?? null))}
      add="Choose an asset"
    />
  )
}

interface ListProps {
  id: string
  disabled: boolean
  chosen: Choice[]
  several: boolean
  add: string
  load: () => Promise<Choice[]>
  put: (values: unknown[]) => void
}

function Picker({ id, disabled, chosen, several, add, load, put }: ListProps) {
  const [choices, setChoices] = useState<Choice[] | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  async function open(): Promise<void> {
    if (choices) return
    try {
      setChoices(await load())
    } catch (error) {
      setProblem((error as Error).message)
    }
  }
  function choose(key: string): void {
    const found = choices?.find(choice => choice.key === key)
    if (found) put(several ? [...chosen.map(({ value }) => value), found.value] : [found.value])
  }
  return (
    <span className="picker">
      {chosen.map(choice => (
        <span className="chip" key={choice.key}>
          {choice.label}
          <button
            type="button"
            className="plain"
            disabled={disabled}
            aria-label={`Remove ${choice.label}`}
            onClick={() => put(chosen.filter(other => other !== choice).map(({ value }) => value))}
          >
            ✕
          </button>
        </span>
      ))}
      <select
        id={id}
        disabled={disabled}
        value=""
        onFocus={() => void open()}
        onMouseDown={() => void open()}
        onChange={event => choose(event.target.value)}
      >
        <option value="">{several || chosen.length === 0 ? add : 'Choose another'}</option>
        {(choices ?? []).map(choice => (
          <option key={choice.key} value={choice.key}>
            {choice.label}
          </option>
        ))}
      </select>
      {problem ? (
        <span className="bad meta" role="alert">
          {problem}
        </span>
      ) : null}
    </span>
  )
}

function list(value: unknown): unknown[] {
  if (value === null || value === undefined || value === '') return []
  return Array.isArray(value) ? value : [value]
}
