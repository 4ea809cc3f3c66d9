# Completion of prongctl for fish. Names of pools come from the daemon, if one answers: those that stand eight blanks deep
# in its answer (what is deeper are names of metrics).

function __prongctl_pools
    prongctl --json status 2>/dev/null | string match -rg '^ {8}"name": "([A-Za-z0-9_-]*)"'
end

# Each with its summary as the description.
function __prongctl_codes
    prongctl explain | string replace -rf '^(PR\d+) +\w+ +(.*)$' '$1\t$2'
end

set -l verbs status workers metrics top reload stop scale recycle pause resume log-level reopen-logs config explain version
set -l no_verb "not __fish_seen_subcommand_from $verbs"

complete -c prongctl -f
complete -c prongctl -l json -d 'Print what the daemon answered, as JSON'
complete -c prongctl -l socket -r -F -d 'The control socket of the daemon'
complete -c prongctl -l help -d 'Print help'
complete -c prongctl -n $no_verb -l version -d 'Print the version of prongctl'
complete -c prongctl -n $no_verb -a status -d 'Show the pools'
complete -c prongctl -n $no_verb -a workers -d 'Show the workers'
complete -c prongctl -n $no_verb -a metrics -d 'Show what modules count themselves'
complete -c prongctl -n $no_verb -a top -d 'Show pools and workers live'
complete -c prongctl -n $no_verb -a reload -d 'Put the changed configuration to work'
complete -c prongctl -n $no_verb -a stop -d 'Stop the daemon'
complete -c prongctl -n $no_verb -a scale -d 'Change the number of workers of a pool'
complete -c prongctl -n $no_verb -a recycle -d 'Replace workers'
complete -c prongctl -n $no_verb -a pause -d 'Accept no connections in a pool'
complete -c prongctl -n $no_verb -a resume -d 'Accept them again'
complete -c prongctl -n $no_verb -a log-level -d 'Change which lines the log has'
complete -c prongctl -n $no_verb -a reopen-logs -d 'Open the log files anew'
complete -c prongctl -n $no_verb -a config -d 'Show every value that is in force'
complete -c prongctl -n $no_verb -a explain -d 'Explain a code of the log'
complete -c prongctl -n $no_verb -a version -d 'Show the versions of both sides'
complete -c prongctl -n '__fish_seen_subcommand_from status workers metrics top reload scale recycle pause resume' -a '(__prongctl_pools)'
complete -c prongctl -n '__fish_seen_subcommand_from status workers metrics' -l over -x -d 'The time of which rates are'
complete -c prongctl -n '__fish_seen_subcommand_from top' -l every -x -d 'How often they are looked at'
complete -c prongctl -n '__fish_seen_subcommand_from reload' -l plan -d 'Only say what would change'
complete -c prongctl -n '__fish_seen_subcommand_from stop' -l fast -d 'Cut connections'
complete -c prongctl -n '__fish_seen_subcommand_from stop' -l no-wait -d 'Return at once'
complete -c prongctl -n '__fish_seen_subcommand_from explain' -a '(__prongctl_codes)'
complete -c prongctl -n '__fish_seen_subcommand_from log-level' -a 'debug info warn error'
