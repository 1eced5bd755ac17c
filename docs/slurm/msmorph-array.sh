#!/usr/bin/env bash
# MSMorph on a Slurm cluster: one array task a session (docs/hpc.md).
#
#   msmorph-array.sh list BIDS_DIR > sessions.tsv
#   msmorph-array.sh submit sessions.tsv BIDS_DIR OUTPUT_DIR WORK_DIR [MSMORPH_OPTION...]
#   msmorph-array.sh collect sessions.tsv WORK_DIR      writes exit_codes.tsv and failed.tsv there
#
# submit prints the job's number. When it is done, collect it and submit failed.tsv in the same way:
# a session takes up what it had finished. SBATCH_ARGS holds more options for sbatch (partition,
# account, --gres=gpu:1) and MSMORPH the command, such as
#   MSMORPH="apptainer run --nv --cleanenv -B /data /data/msmorph.sif"
set -euo pipefail

die() { echo "msmorph-array.sh: $*" >&2; exit 2; }

# Rows of participant and session; n/a where the participant's folder has no sessions.
list() {
    local bids=$1 subject session
    [ -d "$bids" ] || die "there is no folder $bids."
    printf 'participant_id\tsession_id\n'
    for subject in "$bids"/sub-*/; do
        subject=${subject%/}
        [ ! -d "$subject/anat" ] || printf '%s\tn/a\n' "${subject##*/}"
        for session in "$subject"/ses-*/; do
            [ -d "$session" ] || continue
            session=${session%/}
            printf '%s\t%s\n' "${subject##*/}" "${session##*/}"
        done
    done
}

submit() {
    local sessions=$1 bids out work count list
    [ -f "$sessions" ] || die "there is no file $sessions."
    bids=$(realpath "$2") out=$(realpath -m "$3") work=$(realpath -m "$4")
    shift 4
    count=$(($(wc -l <"$sessions") - 1))
    ((count > 0)) || die "$sessions lists no session."
    mkdir -p "$work/log" "$work/exit"
    # A copy of its own: the tasks that wait must not see a list that changes.
    list=$(mktemp "$work/log/sessions-XXXXXX.tsv")
    cp "$sessions" "$list"
    # Two processors and 6 GB are what docs/hpc.md measured; SBATCH_ARGS comes later and wins.
    # shellcheck disable=SC2086
    sbatch --parsable --job-name=msmorph --array="1-$count" --cpus-per-task=2 --mem=6G \
        --time=1:00:00 --output="$work/log/%A_%a.log" ${SBATCH_ARGS:-} \
        "$0" task "$list" "$work" "$bids" "$out" "$@"
}

# One array task. Its exit code goes to a file of its own, as many tasks cannot safely share one.
task() {
    local list=$1 work=$2 bids=$3 out=$4 row subject session name code=0 which=()
    shift 4
    row=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" "$list")
    IFS=$'\t' read -r subject session <<<"$row"
    name=$subject
    if [ "$session" != n/a ]; then
        name=${subject}_$session
        which=(--session-label "$session")
    fi
    rm -f "$work/exit/$name"
    # shellcheck disable=SC2086
    ${MSMORPH:-msmorph} "$bids" "$out" participant --participant-label "$subject" "${which[@]}" \
        --work-dir "$work/$name" --nprocs "${SLURM_CPUS_PER_TASK:-2}" --skip-bids-validation "$@" ||
        code=$?
    printf '%s\t%s\t%s\t%s\t%s\n' "$subject" "$session" "$code" "$SECONDS" \
        "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" >"$work/exit/.$name"
    mv "$work/exit/.$name" "$work/exit/$name"
    [ "$code" != 0 ] || rm -rf "${work:?}/$name"
    return "$code"
}

# A task that Slurm killed leaves no code: it counts as failed, with n/a.
collect() {
    local sessions=$1 work=$2 subject session name code seconds job failed=0
    printf 'participant_id\tsession_id\texit_code\tseconds\tjob\n' >"$work/exit_codes.tsv"
    head -n 1 "$sessions" >"$work/failed.tsv"
    while IFS=$'\t' read -r subject session; do
        name=$subject
        [ "$session" = n/a ] || name=${subject}_$session
        code=n/a seconds=n/a job=n/a
        [ ! -f "$work/exit/$name" ] || IFS=$'\t' read -r _ _ code seconds job <"$work/exit/$name"
        printf '%s\t%s\t%s\t%s\t%s\n' "$subject" "$session" "$code" "$seconds" "$job" \
            >>"$work/exit_codes.tsv"
        if [ "$code" != 0 ]; then
            printf '%s\t%s\n' "$subject" "$session" >>"$work/failed.tsv"
            failed=$((failed + 1))
        fi
    done < <(tail -n +2 "$sessions")
    echo "$failed of $(($(wc -l <"$sessions") - 1)) sessions failed or did not end:" \
        "$work/exit_codes.tsv, $work/failed.tsv"
}

case ${1:-} in
    list) [ $# = 2 ] || die "list BIDS_DIR"; list "$2" ;;
    submit) [ $# -ge 5 ] || die "submit SESSIONS BIDS_DIR OUTPUT_DIR WORK_DIR [OPTION...]"
        shift; submit "$@" ;;
    task) shift; task "$@" ;;
    collect) [ $# = 3 ] || die "collect SESSIONS WORK_DIR"; collect "$2" "$3" ;;
    *) die "the first word must be list, submit or collect (see the top of this file)." ;;
esac
