#!/bin/sh
# Make a user of Kafka for each service, and let it read and write the topic of events and its own
# consumer group, nothing else. The user `upkeep`, for commands on all services, sees only positions.
#
#     infra/kafka/users.sh BROKER:PORT ADMIN.PROPERTIES [TOPIC]
#
# The broker needs an authorizer, and the file has the login of an administrator. kafka-configs.sh and
# kafka-acls.sh of Kafka must be on the PATH. The passwords are in KAFKA_INGEST_PASSWORD,
# KAFKA_EXTRACTION_PASSWORD, …, KAFKA_UPKEEP_PASSWORD. You can run it again to change them.
set -eu
topic="${3:-documents}"
run() { "$@" --bootstrap-server "$broker" --command-config "$login" >/dev/null; }
broker="$1" login="$2"

for user in ingest extraction triage review escalation upkeep; do
    variable="KAFKA_$(echo "$user" | tr a-z A-Z)_PASSWORD"
    eval "password=\${$variable:?is empty}"
    # From a file, so that no list of processes shows the password.
    run kafka-configs.sh --alter --entity-type users --entity-name "$user" \
        --add-config-file /dev/stdin <<END
SCRAM-SHA-512=password=$password
END
    case "$user" in
    upkeep) rights="--operation Describe --operation Create" ;;
    *) rights="--producer --consumer --group $user" ;;
    esac
    # shellcheck disable=SC2086 # several words
    run kafka-acls.sh --add --allow-principal "User:$user" --topic "$topic" $rights
done
