DROP TABLE notification_counts;
DROP TABLE notifications;
DROP TABLE work_records;
