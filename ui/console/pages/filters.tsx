// The filters above a list. What is chosen stands in the URL, so that a filtered list can be sent to somebody.
import { useQuery } from '@tanstack/react-query'
import { consoleApi } from '../../api/console.ts'
import { SelectField } from '../../components/field.tsx'

export function useInstallations() {
  return useQuery({
    queryKey: ['console', 'installations', {}],
    queryFn: ({ signal }) => consoleApi.installations({}, signal),
    staleTime: 30_000
  })
}

export function InstallationFilter({ value, onValue }: { value: string | null; onValue: (value: string) => void }) {
  const installations = useInstallations()
  const items = installations.data?.items ?? []
  const unknown = value !== null && !items.some(installation => installation.id === value)
  return (
    <SelectField
      label="Installation"
      value={value ?? ''}
      onValue={onValue}
      options={[
        ['', 'All'],
        ...items.map(
          installation =>
            [installation.id, `${installation.stackName || installation.stackApiKey} · ${installation.organizationName}`] as const
        ),
        ...(unknown ? [[value, value] as const] : [])
      ]}
    />
  )
}

export function ChoiceFilter({
  label,
  value,
  onValue,
  words
}: {
  label: string
  value: string | null
  onValue: (value: string) => void
  words: Record<string, { word: string }>
}) {
  return (
    <SelectField
      label={label}
      value={value ?? ''}
      onValue={onValue}
      options={[['', 'All'], ...Object.entries(words).map(([key, { word }]) => [key, word] as const)]}
    />
  )
}
