// The secrets of a connection, typed in: one field each, never filled in by the browser and never shown again.
import { fieldErrors, TextField } from '../field.tsx'
import { labelOf } from './schema-form.ts'

export function SecretFields({
  names,
  passing,
  values,
  onValue,
  error
}: {
  names: readonly string[]
  /** Those that are needed only while one gives way to another. */
  passing: readonly string[]
  values: Record<string, string>
  onValue: (name: string, value: string) => void
  error: unknown
}) {
  return names.map(name => (
    <TextField
      key={name}
      label={labelOf(name)}
      type="password"
      autoComplete="off"
      value={values[name] ?? ''}
      onValue={value => onValue(name, value)}
      hint={
        passing.includes(name)
          ? 'Only while another takes its place. Sealed; never shown again.'
          : 'Sealed; never shown again. Empty where none is needed.'
      }
      errors={fieldErrors(error, name)}
    />
  ))
}
