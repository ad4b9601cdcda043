DROP TABLE skald_notification.notification_counts;
DROP TABLE skald_notification.notifications;
DROP TABLE skald_notification.work_records;
DROP TABLE skald_notification.compatibility;
